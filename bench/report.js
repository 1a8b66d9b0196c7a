'use strict'

const { barChart } = require('./chart')
const { SHAPES } = require('./shapes')

const FLOOR = 'net'
const LEGACY = 'legacy'
const OURS = 'smokesignal'

const sorted = (values) => [...values].sort((a, b) => a - b)
function median(values) {
  const all = sorted(values)
  const middle = all.length >> 1
  return all.length % 2 ? all[middle] : (all[middle - 1] + all[middle]) / 2
}

/** Median and range of what several rounds measured. */
function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

const keyOf = ({ shape, size, receivers, system }) => `${shape} ${size} ${receivers} ${system}`

/** From the samples of all rounds to one row per size, number of receivers and system. */
function summarize(samples) {
  const groups = new Map()
  for (const sample of samples) {
    const key = keyOf(sample)
    if (!groups.has(key)) groups.set(key, [])
    groups.get(key).push(sample)
  }
  const rows = Array.from(groups.values(), (group) => {
    const [{ shape, size, receivers, system, title }] = group
    const of = (pick) => spread(group.map(pick))
    const latency = (name) =>
      group[0][name] && {
        p50: of((s) => s[name].p50),
        p99: of((s) => s[name].p99),
        p999: of((s) => s[name].p999),
      }
    return {
      ...{ shape, size, receivers, system, title, rounds: group.length },
      perSecond: of((s) => s.perSecond),
      cpu: of((s) => s.cpu),
      rss: of((s) => s.rss),
      modest: latency('modest'),
      half: latency('half'),
    }
  })
  const systems = new Set(rows.map((row) => row.system))
  for (const row of rows) {
    const group = groups.get(keyOf(row))
    // Round by round: what disturbs the machine for longer disturbs both.
    const ratio = (system) => {
      const others = groups.get(keyOf({ ...row, system })) ?? []
      const pairs = group.flatMap(({ round, perSecond }) => {
        const other = others.find((sample) => sample.round === round)
        return other ? [perSecond / other.perSecond] : []
      })
      return pairs.length > 0 ? spread(pairs) : null
    }
    row.ratios = Object.fromEntries([...systems].map((system) => [system, ratio(system)]))
  }
  return rows
}

const thousands = (n) => Math.round(n).toLocaleString('en-US')
const ratioOf = (ratio) => (ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2))
const times = (ratio) => (ratio ? `${ratioOf(ratio.median)}×` : '–')
const micro = (us) => (us >= 10000 ? `${(us / 1000).toFixed(1)}ms` : `${Math.round(us)}µs`)
const three = (latency) =>
  latency ? ['p50', 'p99', 'p999'].map((p) => micro(latency[p].median)).join(' / ') : ''

/** One table in Markdown, which a terminal shows as well. */
function table(rows) {
  const header = [
    ...['bytes', 'receivers', 'system', 'messages/s', 'min–max', '× floor', '× 0.2.2'],
    ...['CPU µs/msg', 'MiB', 'p50 / p99 / p99.9 at 500/s', 'same at half the maximum'],
  ]
  const order = sortForTable(rows)
  const lines = order.map((row) => [
    ...[thousands(row.size), String(row.receivers), row.title],
    thousands(row.perSecond.median),
    `${thousands(row.perSecond.min)}–${thousands(row.perSecond.max)}`,
    ...[times(row.ratios[FLOOR]), times(row.ratios[LEGACY])],
    ...[row.cpu.median.toFixed(1), thousands(row.rss.median / 2 ** 20)],
    ...[three(row.modest), three(row.half)],
  ])
  return markdown(header, lines, [2])
}

/** Ours beside the floor and beside each of the others, a line per shape and number of receivers. */
function shapesTable(rows) {
  const ours = rows.filter((row) => row.system === OURS)
  const others = [...new Map(rows.map((row) => [row.system, row.title]))]
  const rivals = others.filter(([system]) => system !== OURS)
  const header = [
    ...['shape', 'receivers', 'messages/s', 'min–max', 'CPU µs/msg', "floor's CPU"],
    ...rivals.map(([system, title]) => `× ${system === FLOOR ? 'floor' : title}`),
  ]
  const floorOf = ({ shape, receivers }) =>
    rows.find((row) => row.system === FLOOR && row.shape === shape && row.receivers === receivers)
  const withRange = (ratio) =>
    ratio ? `${times(ratio)} (${ratioOf(ratio.min)}–${ratioOf(ratio.max)})` : '–'
  const lines = ours.map((row) => [
    ...[SHAPES[row.shape].what, String(row.receivers)],
    thousands(row.perSecond.median),
    `${thousands(row.perSecond.min)}–${thousands(row.perSecond.max)}`,
    row.cpu.median.toFixed(2),
    floorOf(row)?.cpu.median.toFixed(2) ?? '–',
    ...rivals.map(([system]) => withRange(row.ratios[system])),
  ])
  return markdown(header, lines, [0])
}

/** A table of `lines`, whose columns `texts` are aligned to the left. */
function markdown(header, lines, texts) {
  const widths = header.map((name, i) =>
    Math.max(name.length, ...lines.map((line) => line[i].length)),
  )
  const isText = (i) => texts.includes(i)
  const cells = (line) =>
    `| ${line.map((c, i) => (isText(i) ? c.padEnd(widths[i]) : c.padStart(widths[i]))).join(' | ')} |`
  const rule = `|${widths.map((w, i) => (isText(i) ? '-'.repeat(w + 2) : `${'-'.repeat(w + 1)}:`)).join('|')}|`
  return [cells(header), rule, ...lines.map(cells)].join('\n')
}

function sortForTable(rows) {
  return [...rows].sort(
    (a, b) =>
      a.size - b.size || a.receivers - b.receivers || b.perSecond.median - a.perSecond.median,
  )
}

/** The picture: throughput at the smallest size, a group per number of receivers. */
function picture(rows, machine) {
  const size = Math.min(...rows.map((row) => row.size))
  const shown = sortForTable(rows.filter((row) => row.size === size))
  const counts = [...new Set(shown.map((row) => row.receivers))]
  const groups = counts.map((receivers) => ({
    title: `${receivers} receiver${receivers === 1 ? '' : 's'}`,
    bars: shown
      .filter((row) => row.receivers === receivers)
      .map((row) => ({
        label: row.title,
        value: row.perSecond.median,
        text: thousands(row.perSecond.median),
        isOurs: row.system === OURS,
      })),
  }))
  const note = `median; separate processes on ${machine.cpus} × ${machine.cpu}, Node ${machine.node}`
  return barChart(`Messages per second, ${size}-byte JSON events`, note, groups)
}

module.exports = { picture, shapesTable, spread, summarize, table }
