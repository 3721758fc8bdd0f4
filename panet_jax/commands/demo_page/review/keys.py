"""The keyboard of the review: a script that runs in the browser, and clicks what a key stands for."""

import json

# {key as the browser calls it: CSS selector of what it clicks}.
KEYS = {
    'a': '#review-accept',
    'r': '#review-reject',
    'u': '#review-undo',
    'x': '#review-clear',
    'f': '#review-reference',
    'd': '#review-mode input:not(:checked)',
    'b': '#review-tool label:nth-of-type(1) input',
    'o': '#review-tool label:nth-of-type(2) input',
    'c': '#review-tool label:nth-of-type(3) input',
    'h': '#review-hide input',
    'ArrowLeft': '#review-back',
    'ArrowRight': '#review-next',
}
# A key that is held down counts once, and none counts in a text field or where the view is not shown.
KEY_SCRIPT = """<script>
{
  const keys = KEYS, texts = 'input:not([type=radio]):not([type=checkbox]):not([type=range]), textarea, [contenteditable=true]';
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.matches?.(texts)) return;
    const selector = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const target = selector && document.querySelector(selector);
    if (!target || !document.querySelector('#review')?.offsetParent || target.disabled) return;
    event.preventDefault();
    event.stopPropagation();
    target.click();
  }, true);
}
</script>""".replace('KEYS', json.dumps(KEYS))
