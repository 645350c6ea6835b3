// Builds elements. Text is always text: nothing here, or in any other module, reads a string as HTML.

const SVG = 'http://www.w3.org/2000/svg'

/**
 * An HTML element. Attributes that start with `on` are listeners, `true` is an empty attribute, null and false are left
 * out. Children are nodes, texts and lists of them.
 */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children)
}

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children)
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

/** Replaces the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

/** A link to another address if that is HTTP, else the text alone: `javascript:` is never a link. */
export function link(address, text = address) {
  return /^https?:\/\//i.test(address)
    ? el('a', { href: address, target: '_blank', rel: 'noreferrer noopener' }, text)
    : el('span', {}, text)
}

/** A button that does something; its text tells what. */
export function button(text, onclick, attributes = {}) {
  return el('button', { type: 'button', onclick, ...attributes }, text)
}

/** Whether a part of the page must stay as it is: something in it plays, is being typed in, or is selected. */
export function isInUse(element) {
  const { activeElement } = document
  const playing = [...element.querySelectorAll('video, audio')].some((player) => !player.paused)
  const typing = element.contains(activeElement) && activeElement.matches('input, textarea, select')
  const selection = getSelection()
  return playing || typing || (!selection.isCollapsed && element.contains(selection.anchorNode))
}
