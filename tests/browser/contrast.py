"""How well texts stand out from what is behind them, as WCAG measures it: from 1 to 21."""

from dataclasses import dataclass

from playwright.sync_api import Page

# Colours are drawn on a canvas, which knows all the ways in which CSS says them. Backgrounds lie over each other until one is opaque.
_MEASURE = """
() => {
    const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = color => {
        pen.clearRect(0, 0, 1, 1); pen.fillStyle = color; pen.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = ([r, g, b, a], under) => [r, g, b].map((part, i) => part * a + under[i] * (1 - a));
    const lies_in = (at, {x, y}) => {
        const box = at.getBoundingClientRect();
        return box.left <= x && x <= box.right && box.top <= y && y <= box.bottom;
    };
    const behind = (element, middle) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement) {
            if (!lies_in(at, middle)) continue; // a slider's number stands above its knob
            const layer = rgba(getComputedStyle(at).backgroundColor);
            layers.push(layer);
            if (layer[3] === 1) break;
        }
        return layers.reduceRight((under, layer) => over(layer, under), page);
    };
    const opacity = element => element ? Number(getComputedStyle(element).opacity) * opacity(element.parentElement) : 1;
    const luminance = color => {
        const [r, g, b] = color.map(part => part / 255).map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const page = rgba(getComputedStyle(document.querySelector("[data-testid=stApp]")).backgroundColor);
    const found = [];
    const texts = document.createTreeWalker(document.querySelector("[data-testid=stApp]"), NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
        const element = node.parentElement;
        if (!node.data.trim() || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
        if (element.closest("canvas, style, script, [disabled], [aria-disabled=true]")) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const {left, top, width, height} = range.getBoundingClientRect();
        const back = behind(element, {x: left + width / 2, y: top + height / 2}), [r, g, b, a] = rgba(getComputedStyle(element).color);
        const pair = [over([r, g, b, a * opacity(element)], back), back].map(luminance).sort((one, other) => other - one);
        found.push([node.data.trim(), (pair[0] + 0.05) / (pair[1] + 0.05)]);
    }
    return found;
}
"""


@dataclass(frozen=True)
class Text:
    """A text of the page, and its contrast."""

    text: str
    contrast: float


def texts(page: Page) -> list[Text]:
    return [Text(*found) for found in page.evaluate(_MEASURE)]
