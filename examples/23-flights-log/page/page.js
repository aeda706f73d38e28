// The read models of the flights as charts. While the log is read in, the page looks again each
// second, and asks for the documents when there is more in them.
import { barChart, show } from '../../page/charts.js'

const LOOK_MS = 1000
const DOCUMENTS_MAX = 1000

const byId = (id) => document.getElementById(id)
const carrierChart = barChart(byId('carriers'), 'minutes', ['departure', 'arrival'])
const dayChart = barChart(byId('days'), 'flights', ['planned', 'cancelled'])
const choice = byId('carrier')

let carriers = []
let days = []
let shown = 0
choice.addEventListener('change', draw)
await look()

async function look() {
  try {
    const { projections } = await (await fetch('/v1/projections')).json()
    const counted = Math.min(...projections.map(({ position = 0 }) => position))
    if (counted > shown) {
      carriers = await documentsOf('carriers', 'carriers')
      days = await documentsOf('days', 'days')
      draw()
      shown = counted
      byId('counted').textContent = counted
    }
  } catch {
    // The server is away; it is asked again.
  }
  setTimeout(look, LOOK_MS)
}

async function documentsOf(projection, collection) {
  const path = `/v1/projections/${projection}/collections/${collection}?limit=${DOCUMENTS_MAX}`
  const { documents } = await (await fetch(path)).json()
  return documents.map(({ document }) => document)
}

const mean = (total, count) => (count === 0 ? 0 : Number((total / count).toFixed(2)))

function draw() {
  const byCode = carriers.toSorted((a, b) => (a.code < b.code ? -1 : 1))
  offer(byCode.map(({ code }) => code))
  const carrierRows = byCode.map((one) => [
    one.code,
    mean(one.departureDelay, one.departed),
    mean(one.arrivalDelay, one.arrived),
  ])
  show(carrierChart, byId('carriers-table'), carrierRows)

  const chosen = days.filter(({ carrier }) => choice.value === '' || carrier === choice.value)
  const total = (found, name) => found.reduce((sum, one) => sum + one[name], 0)
  const byDay = Object.entries(Object.groupBy(chosen, ({ day }) => day)).sort()
  const dayRows = byDay.map(([day, found]) => [
    String(Number(day.slice(-2))),
    total(found, 'flights'),
    total(found, 'cancelled'),
  ])
  show(dayChart, byId('days-table'), dayRows)
  byId('flights').textContent = total(chosen, 'flights').toLocaleString('en')
  byId('cancelled').textContent = total(chosen, 'cancelled').toLocaleString('en')
  byId('delay').textContent = mean(total(chosen, 'departureDelay'), total(chosen, 'departed'))
}

/** Carriers that are not in the list yet. */
function offer(codes) {
  const offered = new Set([...choice.options].map(({ value }) => value))
  for (const code of codes) if (!offered.has(code)) choice.add(new Option(code, code))
}
