// The dashboard: what the read model says, and from there on every event of the feed, folded by the
// same function as the projection does it.
import { barChart, show } from '../../page/charts.js'
import { figuresAfter, noFigures } from './figures.js'

const KEPT = 'bikes'
const RECENT_MAX = 8
const RESTART_MS = 1000

const byId = (id) => document.getElementById(id)
const names = ['rented', 'returned']
const stations = barChart(byId('stations'), 'bikes', names)
const minutes = barChart(byId('minutes'), 'bikes', names)

/** What this tab knows: figures, the id of the last event in them, and the last few events. */
let state = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null') ?? (await fromReadModel())
connect()
draw()

async function fromReadModel() {
  const response = await fetch('/v1/projections/city/collections/figures/all')
  if (!response.ok && response.status !== 404) throw new Error(`status ${response.status}`)
  // It is 404 before the first event.
  const figures = response.ok ? await response.json() : noFigures()
  return { figures, lastEventId: '', recent: [] }
}

function connect() {
  const { figures, lastEventId } = state
  const query = new URLSearchParams({ categories: 'bike' })
  // A tab that was loaded again goes on behind what it has seen, and misses nothing.
  if (lastEventId === '') query.set('after', figures.position)
  else query.set('lastEventId', lastEventId)
  const feed = new EventSource(`/v1/feed?${query}`)
  feed.onopen = () => tell('live')
  feed.onmessage = ({ data, lastEventId }) => take(JSON.parse(data), lastEventId)
  feed.onerror = () => {
    tell('interrupted, and tried again')
    // A lost connection is taken up again by the browser itself, with its Last-Event-ID. Where the
    // server has said no (the log is another one since a restore, say), the read model knows.
    if (feed.readyState === EventSource.CLOSED) setTimeout(restart, RESTART_MS)
  }
}

async function restart() {
  try {
    state = await fromReadModel()
    connect()
    draw()
  } catch {
    setTimeout(restart, RESTART_MS)
  }
}

function take(event, lastEventId) {
  const figures = figuresAfter(state.figures, event)
  if (figures === state.figures) return
  state = { figures, lastEventId, recent: [wordsOf(event), ...state.recent].slice(0, RECENT_MAX) }
  drawSoon()
}

function wordsOf({ stream, type, data }) {
  const what = type === 'BikeRented' ? 'left' : 'came back to'
  return `${stream} ${what} ${data.station}`
}

function tell(words) {
  byId('status').textContent = words
}

let isDue = false

/** However many events come at once, the page is drawn once for each frame. */
function drawSoon() {
  if (isDue) return
  isDue = true
  requestAnimationFrame(() => {
    isDue = false
    draw()
  })
}

function draw() {
  const { figures, recent } = state
  byId('out').textContent = figures.out
  byId('rides').textContent = figures.rides
  byId('mean').textContent =
    figures.rides === 0 ? 'none yet' : (figures.minutes / figures.rides).toFixed(1)
  const byStation = Object.entries(figures.stations).sort(([a], [b]) => a.localeCompare(b))
  const rowsOf = (found) => found.map(([label, one]) => [label, one.rented, one.returned])
  show(stations, byId('stations-table'), rowsOf(byStation))
  const byMinute = figures.latest.map((one) => [one.minute.slice(11), one])
  show(minutes, byId('minutes-table'), rowsOf(byMinute))
  byId('recent').replaceChildren(
    ...recent.map((words) => Object.assign(document.createElement('li'), { textContent: words })),
  )
  sessionStorage.setItem(KEPT, JSON.stringify(state))
}
