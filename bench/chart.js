'use strict'

// A bar chart as SVG, by hand: legible on light and dark, no script, no fonts of its own.

const WIDTH = 760
const LABEL = 170
const VALUE = 96
const BAR = 16
const ROW = 22
const GROUP_GAP = 34

const escapeXml = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c])

/** @param groups `[{title, bars: [{label, value, text, isOurs}]}]` */
exports.barChart = (title, note, groups) => {
  const most = Math.max(...groups.flatMap(({ bars }) => bars.map(({ value }) => value)))
  const parts = []
  let y = 34
  for (const { title: name, bars } of groups) {
    y += GROUP_GAP - ROW
    parts.push(`<text x="0" y="${y}" class="group">${escapeXml(name)}</text>`)
    y += 8
    for (const { label, value, text, isOurs } of bars) {
      const length = Math.max(1, Math.round((value / most) * (WIDTH - LABEL - VALUE)))
      const middle = y + BAR / 2
      parts.push(
        `<text x="${LABEL - 8}" y="${middle}" class="label${isOurs ? ' ours' : ''}">${escapeXml(label)}</text>`,
        `<rect x="${LABEL}" y="${y}" width="${length}" height="${BAR}" rx="2" class="${isOurs ? 'own' : 'bar'}"/>`,
        `<text x="${LABEL + length + 6}" y="${middle}" class="value">${escapeXml(text)}</text>`,
      )
      y += ROW
    }
    y += GROUP_GAP - ROW
  }
  const height = y + 10
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeXml(title)}">
<style>
text { font: 13px system-ui, sans-serif; fill: #24292f; dominant-baseline: central }
.title { font-size: 16px; font-weight: 600 }
.group { font-weight: 600 }
.label { text-anchor: end }
.ours { font-weight: 600 }
.note { font-size: 11px; fill: #6e7781 }
.bar { fill: #8c959f }
.own { fill: #d9730d }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .note { fill: #9198a1 }
  .bar { fill: #656d76 }
  .own { fill: #f0883e }
}
</style>
<text x="0" y="12" class="title">${escapeXml(title)}</text>
${parts.join('\n')}
<text x="0" y="${height - 8}" class="note">${escapeXml(note)}</text>
</svg>
`
}
