"""The picture that is drawn on: a script that tells the server each stroke as a list of points.

Gradio's editor sends the whole picture several times a stroke, which takes seconds on two cores; this sends a few hundred bytes.
The script keeps what the server has not drawn yet, so that one can go on drawing at once.
"""

# The picture, the strokes above it, and the width of the brush.
STAGE = """
<div id="review-stage"><img alt="the image under review" draggable="false"><canvas></canvas></div>
<label id="review-width">Brush width <input type="range" min="2" max="80" value="16"></label>
"""
STAGE_STYLE = """
#review-stage { position: relative; margin: auto; line-height: 0; background: var(--background-fill-secondary); }
#review-stage img { width: 100%; height: 100%; }
#review-stage canvas { position: absolute; inset: 0; width: 100%; height: 100%; touch-action: none; cursor: crosshair; }
#review-width { display: flex; align-items: center; gap: .5em; font-size: .9em; margin-top: .3em; }
#review-width input { flex: 1; max-width: 16em; }
"""
# What lies beside the picture and is nothing else.
BESIDE = '#review, #review-image, #review-draw, #review-draw :not(#review-width, #review-width *)'
# Gradio calls this when the button is clicked: the values of the components desk, drawn and name, as the server gets them.
NEXT_STROKE = '(desk, drawn, name) => [desk, window.panetStrokes.shift(), name]'
STAGE_SCRIPT = """<script>
{
  const find = (selector) => document.querySelector(selector);
  const chosen = (name) => find(`#${name} input:checked`)?.value;
  const color = { add: '#e5007d', remove: '#ffffff' };
  const near = 12;  // pixels around the first corner of an outline that close it
  const strokes = window.panetStrokes = [];  // that the server has not been told of
  let shown = '', source = '', stem = '', number = 0, waiting = [], points = [], place = null, pressed = false, moved = false;

  const width = () => Number(find('#review-width input').value);
  const size = () => { const box = find('#review-stage canvas').getBoundingClientRect(); return [box.width, box.height]; };

  const fit = () => {
    const stage = find('#review-stage'), image = find('#review-stage img');
    if (!stage || !image.naturalWidth || !stage.offsetParent) return;
    const room = stage.parentElement.clientWidth;
    // Whoever accepts one image after the other need not scroll: the buttons are on the first screen, below the picture.
    const above = stage.getBoundingClientRect().top + window.scrollY;
    const below = find('#review-more').getBoundingClientRect().bottom - stage.getBoundingClientRect().bottom;
    const height = Math.max(200, window.innerHeight - above - below - 12);
    const scale = Math.min(room / image.naturalWidth, height / image.naturalHeight);
    stage.style.width = `${Math.floor(scale * image.naturalWidth)}px`;
    stage.style.height = `${Math.floor(scale * image.naturalHeight)}px`;
    draw();
  };

  const paint = (pen, stroke) => {
    const [w, h] = size();
    pen.strokeStyle = pen.fillStyle = color[stroke.mode];
    pen.lineWidth = stroke.tool === 'brush' ? stroke.width * w : 2;
    pen.beginPath();
    stroke.points.forEach(([x, y]) => pen.lineTo(x * w, y * h));
    pen.stroke();
    const radius = stroke.tool === 'brush' ? pen.lineWidth / 2 : stroke.points.length === 1 ? 5 : 0;
    for (const [x, y] of radius ? [stroke.points[0]] : []) {
      pen.beginPath(); pen.arc(x * w, y * h, radius, 0, 7); pen.fill();
    }
  };

  const current = () => ({
    number: number + 1, stem, tool: chosen('review-tool'), mode: chosen('review-mode'), points, width: width() / size()[0],
  });

  const draw = () => {
    const canvas = find('#review-stage canvas'), dots = window.devicePixelRatio || 1, [w, h] = size(), pen = canvas.getContext('2d');
    canvas.width = w * dots; canvas.height = h * dots;
    pen.scale(dots, dots);
    pen.lineCap = pen.lineJoin = 'round';
    waiting.forEach((stroke) => paint(pen, stroke));
    if (points.length) paint(pen, current());
    if (place && chosen('review-tool') === 'brush') {
      pen.lineWidth = 1; pen.strokeStyle = '#fff';
      pen.beginPath(); pen.arc(place[0] * w, place[1] * h, width() / 2, 0, 7); pen.stroke();
      pen.strokeStyle = '#000';
      pen.beginPath(); pen.arc(place[0] * w, place[1] * h, width() / 2 + 1, 0, 7); pen.stroke();
    }
  };

  const send = () => {
    const stroke = current();
    number += 1;
    points = [];
    waiting.push(stroke);
    strokes.push(JSON.stringify(stroke));
    find('#review-send').click();
  };

  const at = (event) => {
    const box = find('#review-stage canvas').getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const closes = ([x, y]) => {
    const [w, h] = size(), [first] = points;
    return points.length > 2 && Math.hypot((x - first[0]) * w, (y - first[1]) * h) < near;
  };

  // A line may begin beside the picture, to take in what its edge cuts off; a finger scrolls there.
  const starts = ({ target, pointerType }) => target.matches?.('#review-stage canvas')
    || (pointerType !== 'touch' && chosen('review-tool') !== 'click' && target.matches?.(BESIDE));

  document.addEventListener('pointerdown', (event) => {
    if (!starts(event) || event.button || !stem) return;
    event.preventDefault();
    document.activeElement?.blur();
    pressed = true; moved = false;
    if (chosen('review-tool') === 'outline' && closes(at(event))) { pressed = false; send(); }
    else if (chosen('review-tool') === 'outline') points.push(at(event));
    else points = [at(event)];
    draw();
  });
  document.addEventListener('pointermove', (event) => {
    const stays = event.target.matches?.('#review-stage canvas');
    if (!pressed && !stays && !place) return;
    place = pressed || stays ? at(event) : null;
    if (pressed && chosen('review-tool') !== 'click') {
      const [x, y] = points[points.length - 1], [w, h] = size();
      if (Math.hypot((place[0] - x) * w, (place[1] - y) * h) >= 2) { points.push(place); moved = true; }
    }
    draw();
  });
  const release = () => {
    if (!pressed) return;
    pressed = false;
    // A line that was drawn is an outline; single clicks are its corners until one is near the first.
    if (chosen('review-tool') !== 'outline' || (moved && points.length > 8)) send();
    draw();
  };
  document.addEventListener('pointerup', release);
  document.addEventListener('pointercancel', release);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && points.length) { points = []; pressed = false; draw(); }
    if (event.key === 'Enter' && points.length > 2) { event.preventDefault(); send(); draw(); }
  });
  window.addEventListener('resize', fit);

  // The server gives a new picture: what it has drawn need not be drawn above it any more.
  const look = () => {
    const picture = find('#review-picture [data-source]'), image = find('#review-stage img');
    if (!picture || !image) return;
    const version = picture.dataset.number + picture.dataset.source;
    if (version !== shown) {
      shown = version;
      source = picture.dataset.source;
      const { stem: name, number: drawn } = picture.dataset;
      const next = new Image();
      next.onload = () => {
        if (next.src !== source) return;
        if (name !== stem) { waiting = []; points = []; pressed = false; }
        stem = find('#review-stage').dataset.stem = name;
        waiting = waiting.filter((stroke) => stroke.number > Number(drawn));
        image.src = source;
        fit();
      };
      next.src = source;
    }
    const stage = find('#review-stage');
    stage.style.visibility = source ? 'visible' : 'hidden';
    if (stage.offsetParent && !stage.style.width) fit();
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-source', 'class', 'style'] });
}
</script>""".replace('BESIDE', repr(BESIDE))
