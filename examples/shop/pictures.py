"""Pictures of products: a drawing for each category, in a colour that is one of the product's tags."""

from examples.shop.catalogue import Product

COLOURS = {
    "rust": "#b4552d", "sand": "#b08d57", "sea": "#2f7f8f", "slate": "#5b6777", "leaf": "#4c8a3f", "gold": "#c08a1e",
    "plum": "#7d4a86",
}  # fmt: skip
_OTHER_COLOUR = "#5b6777"
_DRAWINGS = {
    "coffee": '<path d="M50 62h76v34a30 30 0 0 1-30 30H80a30 30 0 0 1-30-30z"/>'
    '<path d="M126 72h10a14 14 0 0 1 0 28h-10" fill="none" stroke-width="9"/>'
    '<path d="M72 48q-8-10 0-20M88 48q-8-10 0-20M104 48q-8-10 0-20" fill="none" stroke-width="5"/>',
    "tea": '<ellipse cx="92" cy="92" rx="42" ry="34"/><path d="M131 82l26-16" stroke-width="11"/>'
    '<path d="M52 78a18 18 0 1 0 2 32" fill="none" stroke-width="8"/><path d="M70 56h44" stroke-width="9"/>'
    '<circle cx="92" cy="48" r="7"/>',
    "baking": '<path d="M48 66h100l-9 54a8 8 0 0 1-8 7H65a8 8 0 0 1-8-7z"/><path d="M42 60h112" stroke-width="9"/>'
    '<path d="M76 48q6-22 22-22t22 22" fill="none" stroke-width="6"/>',
    "garden": '<path d="M98 132V70" stroke-width="8"/><path d="M98 84C60 84 52 58 52 42c34 0 46 16 46 42z"/>'
    '<path d="M98 100c0-28 16-42 48-42 0 24-12 42-48 42z"/><path d="M64 134h68" stroke-width="9"/>',
    "desk": '<path d="M62 132l14-34 58-58 20 20-58 58z"/><path d="M62 132l10-24 14 14z" fill="#fff"/>'
    '<path d="M52 136h92" stroke-width="6"/>',
    "evening": '<rect x="80" y="66" width="38" height="62" rx="5"/><path d="M99 66V56" stroke-width="5"/>'
    '<path d="M99 24c12 14 12 28 0 32-12-4-12-18 0-32z"/><path d="M64 132h70" stroke-width="9"/>',
}
_OTHER_DRAWING = '<rect x="58" y="44" width="84" height="76" rx="8"/>'


def picture(product: Product) -> str:
    """An SVG of 200 by 160. Nothing of the product's texts goes into it."""
    colour = next((COLOURS[tag] for tag in product.tags if tag in COLOURS), _OTHER_COLOUR)
    drawing = _DRAWINGS.get(product.category, _OTHER_DRAWING)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 160" width="200" height="160">'
        f'<rect width="200" height="160" fill="{colour}" opacity=".16"/>'
        f'<g fill="{colour}" stroke="{colour}" stroke-linecap="round" stroke-linejoin="round">{drawing}</g></svg>'
    )
