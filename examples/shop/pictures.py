"""Pictures of products: a drawing for each, in a colour that is one of the product's tags."""

from examples.shop.catalogue import Product

COLOURS = {
    "rust": "#b4552d", "sand": "#b08d57", "sea": "#2f7f8f", "slate": "#5b6777", "leaf": "#4c8a3f", "gold": "#c08a1e",
    "plum": "#7d4a86",
}  # fmt: skip
_OTHER_COLOUR = "#5b6777"
_DRAWINGS = {
    "hand-grinder": '<rect x="76" y="76" width="48" height="58" rx="6"/><path d="M76 70a24 20 0 0 1 48 0z"/>'
    '<path class="line" d="M100 52V38h38"/><circle cx="142" cy="38" r="8"/>',
    "dripper": '<path d="M58 40h84l-28 48H86z"/><path class="line" d="M74 94h52"/>'
    '<path d="M80 104h40v24a8 8 0 0 1-8 8H88a8 8 0 0 1-8-8z"/><path class="line" d="M122 110q16 0 12 14-4 6-14 4"/>',
    "paper-filters": '<path d="M46 46h66l-33 76z"/><path d="M90 46h66l-33 76z" opacity=".6"/>',
    "coffee-beans": '<path d="M72 50h56l8 84H64z"/><path class="line" d="M72 40h56"/>'
    '<g class="light"><ellipse cx="100" cy="94" rx="14" ry="19"/></g><path class="line" d="M100 78q-8 16 0 32"/>',
    "teapot": '<ellipse cx="92" cy="92" rx="42" ry="34"/><path class="line" d="M131 82l26-16"/>'
    '<path class="line" d="M52 78a18 18 0 1 0 2 32M70 56h44"/><circle cx="92" cy="48" r="7"/>',
    "tea-bowls": '<path d="M34 86h62a31 34 0 0 1-62 0z"/><path d="M104 86h62a31 34 0 0 1-62 0z"/>'
    '<path class="line" d="M52 126h26M122 126h26M56 70q-6-8 0-16M74 70q-6-8 0-16M126 70q-6-8 0-16M144 70q-6-8 0-16"/>',
    "assam": '<rect x="70" y="62" width="60" height="74" rx="5"/><rect x="66" y="42" width="68" height="14" rx="5"/>'
    '<path class="light" d="M84 116q-2-30 32-32 0 32-32 32z"/>',
    "tea-strainer": '<path d="M48 72h72a36 40 0 0 1-72 0z"/><path class="line" d="M44 68h82l42-14"/>'
    '<g class="light"><circle cx="70" cy="86" r="3"/><circle cx="84" cy="86" r="3"/><circle cx="98" cy="86" r="3"/>'
    '<circle cx="77" cy="97" r="3"/><circle cx="91" cy="97" r="3"/></g>',
    "springform": '<path d="M50 70h100v50a8 8 0 0 1-8 8H58a8 8 0 0 1-8-8z"/><path class="line" d="M44 64h112"/>'
    '<rect class="light" x="122" y="80" width="12" height="36" rx="3"/>',
    "whisk": '<path class="line" d="M100 140v-38M100 102c-34-26-34-74 0-74s34 48 0 74c-14-26-14-74 0-74s14 48 0 74z"/>',
    "apron": '<path d="M80 54h40v24q22 6 22 22v36H58v-36q0-16 22-22z"/><path class="line" d="M82 54q18-36 36 0"/>'
    '<path class="light" d="M84 100h32v14a8 8 0 0 1-8 8H92a8 8 0 0 1-8-8z"/>',
    "kitchen-scale": '<path d="M66 84h68l12 50H54z"/><path class="line" d="M54 64h92M100 64v18"/>'
    '<circle class="light" cx="100" cy="110" r="15"/><path class="line" d="M100 110l7-8"/>',
    "watering-can": '<path d="M62 70h58v62H62z"/><path class="line" d="M120 112l34-38M146 64l18 18"/>'
    '<path class="line" d="M62 82c-28 4-28 36 0 38M68 66q22-32 46 0"/>',
    "trowel": '<path d="M100 146q-28-36 0-68 28 32 0 68z"/><path class="line" d="M100 78V58"/>'
    '<rect x="91" y="20" width="18" height="38" rx="9"/>',
    "garden-gloves": '<path d="M54 132V74q0-30 20-30t20 30v10q14-14 20-4t-20 30v22z"/>'
    '<path class="light" d="M54 112h40v7H54z"/>'
    '<path d="M146 132V74q0-24-16-30-8 6-10 20 14 6 6 24-6 14-14 20v24z" opacity=".6"/>',
    "seeds": '<rect x="66" y="30" width="68" height="106" rx="5"/><g class="light"><circle cx="100" cy="62" r="9"/>'
    '<circle cx="85" cy="72" r="9"/><circle cx="115" cy="72" r="9"/><circle cx="91" cy="88" r="9"/>'
    '<circle cx="109" cy="88" r="9"/><path d="M97 90h6v32h-6z"/></g><circle cx="100" cy="76" r="7"/>',
    "desk-lamp": '<path class="line" d="M58 136h62M88 134L70 92l38-38"/><path d="M98 38l46 26-28 26-34-34z"/>',
    "notebook": '<rect x="62" y="30" width="76" height="106" rx="6"/><path class="light" d="M76 30h5v106h-5z"/>'
    '<rect class="light" x="92" y="50" width="26" height="14" rx="2"/>',
    "fountain-pen": '<path d="M62 132l14-34 58-58 20 20-58 58z"/><path class="light" d="M66 128l9-21 12 12z"/>'
    '<path class="line" d="M52 138h92"/>',
    "ink": '<rect x="64" y="76" width="72" height="58" rx="10"/><rect x="84" y="62" width="32" height="12"/>'
    '<rect x="78" y="40" width="44" height="18" rx="4"/><path class="light" d="M100 88q16 20 0 32-16-12 0-32z"/>',
    "candle": '<rect x="80" y="66" width="38" height="62" rx="5"/><path class="line" d="M99 66V56M64 132h70"/>'
    '<path d="M99 24c12 14 12 28 0 32-12-4-12-18 0-32z"/>',
    "candle-holder": '<path d="M80 60h40v12q0 14-14 14v28h-12V86q-14 0-14-14z"/>'
    '<path d="M62 116h76q0 20-20 20H82q-20 0-20-20z"/><path class="line" d="M138 118q22-6 18 10-6 8-22 4"/>',
    "blanket": '<rect x="46" y="46" width="108" height="26" rx="10"/>'
    '<rect x="46" y="76" width="108" height="26" rx="10"/><rect x="46" y="106" width="108" height="26" rx="10"/>'
    '<path class="light" d="M62 46h5v26h-5zM74 46h5v26h-5zM62 76h5v26h-5zM74 76h5v26h-5z'
    'M62 106h5v26h-5zM74 106h5v26h-5z"/>',
    "matches": '<path class="line" d="M72 134l18-84M102 134V48M132 134l-18-84"/>'
    '<ellipse cx="91" cy="44" rx="8" ry="11"/><ellipse cx="102" cy="40" rx="8" ry="11"/>'
    '<ellipse cx="113" cy="44" rx="8" ry="11"/>',
}  # fmt: skip
_OTHER_DRAWING = '<rect x="58" y="44" width="84" height="76" rx="8"/>'


def picture(product: Product) -> str:
    """An SVG of 200 by 160. Nothing of the product's texts goes into it."""
    colour = next((COLOURS[tag] for tag in product.tags if tag in COLOURS), _OTHER_COLOUR)
    drawing = _DRAWINGS.get(product.item_id, _OTHER_DRAWING)
    drawing = drawing.replace('class="line"', f'fill="none" stroke="{colour}" stroke-width="8"')
    drawing = drawing.replace('class="light"', 'fill="#fff" opacity=".85"')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 160" width="200" height="160">'
        f'<rect width="200" height="160" fill="{colour}" opacity=".16"/>'
        f'<g fill="{colour}" stroke-linecap="round" stroke-linejoin="round">{drawing}</g></svg>'
    )
