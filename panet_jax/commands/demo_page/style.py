"""The style of the page, and the script that runs in the browser beside Gradio's own."""

import gradio as gr

from panet_jax.commands.demo_page.uploads import MOST_PIXELS

# Fonts of the visitor's machine: the page loads nothing from elsewhere.
THEME = gr.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
STYLE = """
.legend, .legend tr { border: none; }
.legend td, .legend th { padding: .2em 1.5em .2em 0; text-align: left; border: none; }
#refused { color: var(--error-text-color, #b91c1c); margin: 0; }
#refused:empty { display: none; }
.legend i { display: inline-block; width: 1em; height: 1em; margin-right: .5em; vertical-align: -.1em; }
#title h2 { margin: 0; font-size: 1.2em; }
#title p { margin: .2em 0 0; }
#review-list .caption-label { font-size: .7em; padding: 0 .4em; }
#review-list, #review-list .grid-wrap { height: auto !important; min-height: 0 !important; }
#review-list .grid-wrap { max-height: max(220px, 100vh - 430px) !important; overflow-y: auto; }
#review-list .grid-container { grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)); }
#review-tools .form { display: flex; flex-flow: row wrap; justify-content: start; background: var(--block-background-fill); }
#review-tools .form > * { flex: 0 1 auto; min-width: 0 !important; width: auto; margin: 0; }
#review-tools .wrap { flex-wrap: nowrap; }
#review-hide { align-self: center; }
#review-image { gap: 8px; }
#review-buttons, #review-more { gap: 8px; flex-wrap: nowrap; }
#review-buttons button, #review-more button { min-height: 2.6em; padding: 0 .3em; white-space: nowrap; }
#review-notes p { font-size: .9em; }
@media (max-width: 640px) {
  #title p { display: none; }
  #review > :first-child { order: 2; }
  #review-list .grid-wrap { max-height: 190px !important; }
  /* Below the picture, what is needed for each image comes first. */
  #review-tools { order: 1; }
  #review-more button { white-space: normal; }
}
"""
# Gradio's editor decodes images with createImageBitmap, and says nothing of one that the browser cannot decode.
EDITOR_SCRIPT = """<script>
{
  const decode = window.createImageBitmap.bind(window);
  const place = document.createElement('p');
  place.id = 'refused';
  place.role = 'alert';
  const report = (text) => { place.textContent = text; document.querySelector('#editor')?.after(place); };
  const pixels = (file) => new Promise((resolve) => {
    const image = new Image(), address = URL.createObjectURL(file);
    const done = (count) => { URL.revokeObjectURL(address); resolve(count); };
    image.onload = () => done(image.naturalWidth * image.naturalHeight);
    image.onerror = () => done(0);
    image.src = address;
  });
  window.createImageBitmap = async (source, ...rest) => {
    if (!(source instanceof File)) return decode(source, ...rest);
    report('');
    try {
      if (await pixels(source) > MOST_PIXELS)
        throw new Error('has more than MEGAPIXELS million pixels; make it smaller.');
      return await decode(source, ...rest).catch(() => {
        throw new Error('is no image that your browser can show; choose another, or save it as JPEG or PNG.');
      });
    } catch (error) {
      report(`${source.name} ${error.message}`);
      throw error;
    }
  };
}
</script>""".replace('MOST_PIXELS', str(MOST_PIXELS)).replace('MEGAPIXELS', str(MOST_PIXELS // 10**6))
