'use strict'

// npm run bench:hosts [-- --rounds 5] [--networks native,mixed] [--seed N] [--json]
//
// Twenty processes on twenty hosts (network namespaces: Linux, root): how long until they are one
// network, until they notice that it is cut in two, and until it is whole again after that and
// after half of them are killed. The goals are for native nodes: legacy ones look around only every
// 10 s. What everybody hears is checked as well; see __test__/hosts/scenario.js.

const os = require('node:os')
const { parseArgs } = require('node:util')
const { NETWORKS, STEPS, play } = require('../__test__/hosts/scenario')
const { unavailable } = require('../__test__/support/namespaces')
const { spread } = require('./report')

function options() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      networks: { type: 'string', default: Object.keys(NETWORKS).join() },
      seed: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  })
  const networks = values.networks.split(',')
  const unknown = networks.find((name) => !(name in NETWORKS))
  if (unknown) throw new Error(`unknown: ${unknown}; there are: ${Object.keys(NETWORKS)}`)
  return { ...values, networks, rounds: Number(values.rounds), seed: Number(values.seed) }
}

/** Of the seconds of all rounds, by step. */
function summarize(rounds) {
  return STEPS.map(({ name }) => {
    const { median, max } = spread(rounds.map((times) => times[name]))
    return { name, median, worst: max }
  })
}

function table(network, summary) {
  const row = (name, figures, what) =>
    `${name.padEnd(16)}${figures.map((text) => text.padStart(8)).join('')}  ${what}`
  const lines = [row(`${network}, seconds`, ['median', 'worst', 'goal'], '').trimEnd()]
  for (const [index, { name, median, worst }] of summary.entries()) {
    const { goal, what } = STEPS[index]
    const hasGoal = network === 'native' && goal !== undefined
    const figures = [median.toFixed(2), worst.toFixed(2), hasGoal ? `≤ ${goal}` : '–']
    lines.push(row(name, figures, what))
  }
  return lines.join('\n')
}

async function main() {
  const { networks, rounds, seed, json } = options()
  const reason = unavailable()
  if (reason) throw new Error(reason)
  const results = {}
  for (const network of networks) {
    const times = []
    for (let round = 0; round < rounds; round++) {
      const say = (text) => process.stderr.write(`${network}, round ${round + 1}: ${text}\n`)
      say(`seed ${seed + round}`)
      times.push(await play(NETWORKS[network], { seed: seed + round, say }))
    }
    results[network] = summarize(times)
  }
  const machine = `${os.cpus().length} cores, Node.js ${process.versions.node}`
  if (json) console.log(JSON.stringify({ machine, rounds, seed, results }, null, 2))
  else {
    console.log(`${rounds} rounds on ${machine}`)
    for (const network of networks) console.log(`\n${table(network, results[network])}`)
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
