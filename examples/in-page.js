// What the checks of the pages ask in the page itself. Each function is sent there as it stands, so
// it uses nothing from outside of itself.

/**
 * A bar and its height in pixels.
 *
 * @typedef {{ label: string, value: number, height: number }} Bar
 */

/**
 * @param {string} id Of the canvas.
 * @returns {Bar[]}
 */
export function barsOf(id) {
  const chart = globalThis.Chart.getChart(id)
  return chart.data.labels.flatMap((label, at) =>
    chart.data.datasets.map(({ data }, set) => {
      const { y, base } = chart.getDatasetMeta(set).data[at].getProps(['y', 'base'], true)
      return { label, value: data[at], height: base - y }
    }),
  )
}

/**
 * @returns {{ what?: string, isSeen: boolean }} What has the focus, if anything has it, and whether
 * that can be seen.
 */
export function focused() {
  const { activeElement } = document
  if (activeElement === null || activeElement === document.body) return { isSeen: false }
  const { outlineStyle } = getComputedStyle(activeElement)
  const what = `${activeElement.localName} ${activeElement.id || activeElement.textContent.trim()}`
  return { what, isSeen: outlineStyle !== 'none' }
}

/** @returns {string[]} */
export function structureFaults() {
  const faults = []
  const must = (holds, what) => {
    if (!holds) faults.push(what)
  }
  const all = (selector) => [...document.querySelectorAll(selector)]
  must(document.documentElement.lang !== '', 'no language')
  must(document.title !== '', 'no title')
  must(all('h1').length === 1, 'not one h1')
  must(all('main').length === 1, 'not one main')
  for (const picture of all('canvas, img, svg')) {
    const isNamed = picture.getAttribute('role') === 'img' && picture.hasAttribute('aria-label')
    must(isNamed || picture.hasAttribute('alt'), `no name on ${picture.outerHTML}`)
  }
  for (const control of all('select, input, button')) {
    const isNamed = control.labels?.length > 0 || control.hasAttribute('aria-label')
    const isWord = control.localName === 'button' && control.textContent !== ''
    must(isNamed || isWord, `no name on ${control.outerHTML}`)
  }
  for (const table of all('table')) {
    must(table.caption !== null, 'a table without a caption')
    const heads = [...table.querySelectorAll('th')]
    must(heads.length > 0 && heads.every(({ scope }) => scope !== ''), 'a head without a scope')
  }
  return faults
}

/** @returns {string[]} Text that stands out too little, by the formula of WCAG 2. */
export function contrastFaults() {
  const parts = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number)
  const light = (colour) => {
    const [red, green, blue] = parts(colour)
      .slice(0, 3)
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const ground = (element) => {
    if (element === null) return 'rgb(255, 255, 255)'
    const { backgroundColor } = getComputedStyle(element)
    return parts(backgroundColor)[3] === 0 ? ground(element.parentElement) : backgroundColor
  }
  const faults = []
  for (const element of document.body.querySelectorAll('*')) {
    const hasText = [...element.childNodes].some(
      ({ nodeType, textContent }) => nodeType === Node.TEXT_NODE && textContent.trim() !== '',
    )
    if (!hasText) continue
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(1)} of ${element.textContent.trim()}`)
  }
  return faults
}
