// Bars of Chart.js in the colours of the page, light or dark, and the table that says the same.

const dark = matchMedia('(prefers-color-scheme: dark)')
const calm = matchMedia('(prefers-reduced-motion: reduce)')

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
}

function paint(chart) {
  const [text, line] = [colour('faint'), colour('line')]
  for (const axis of Object.values(chart.options.scales)) {
    axis.ticks.color = text
    axis.title.color = text
    axis.grid.color = line
  }
  chart.options.plugins.legend.labels.color = text
  for (const [at, set] of chart.data.datasets.entries()) {
    set.backgroundColor = colour(at === 0 ? 'first' : 'second')
  }
  chart.options.animation = calm.matches ? false : { duration: 250 }
  chart.update()
}

/** Bars in a canvas: a series for each name. `axis` says what is counted. */
export function barChart(canvas, axis, names) {
  const scale = (text) => ({ ticks: {}, grid: {}, title: { display: text !== '', text } })
  const chart = new globalThis.Chart(canvas, {
    type: 'bar',
    data: { labels: [], datasets: names.map((label) => ({ label, data: [] })) },
    options: {
      maintainAspectRatio: false,
      scales: { x: scale(''), y: { ...scale(axis), beginAtZero: true, ticks: { precision: 0 } } },
      plugins: { legend: { display: names.length > 1, labels: {} } },
    },
  })
  paint(chart)
  dark.addEventListener('change', () => paint(chart))
  return chart
}

/** Shows rows, each a label and a number for each series, in a chart and in its table. */
export function show(chart, table, rows) {
  chart.data.labels = rows.map(([label]) => label)
  for (const [at, set] of chart.data.datasets.entries()) set.data = rows.map((row) => row[at + 1])
  chart.update()
  table.tBodies[0].replaceChildren(
    ...rows.map(([label, ...values]) => {
      const row = document.createElement('tr')
      const head = document.createElement('th')
      head.scope = 'row'
      head.textContent = label
      row.append(head)
      for (const value of values) row.insertCell().textContent = value
      return row
    }),
  )
}
