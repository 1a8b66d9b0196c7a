'use strict'

// npm run bench -- [--json] [--quick] [--only ours,net] [--sizes 100,1024] [--receivers 1,3]
//                  [--rounds 3] [--svg file]
// npm run bench -- --requests: requests and answers, see bench/requests.js
// npm run bench -- --shapes [three,six]: messages of other shapes than the usual one

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { Contest, ContestError } = require('./contest')
const { picture, shapesTable, summarize, table } = require('./report')
const { SHAPES } = require('./shapes')

const SYSTEMS = [
  'smokesignal',
  'secret',
  'legacy',
  'net',
  'nats',
  'zeromq',
  'redis',
  'socket.io',
  'ws',
]
/** What the shapes are measured with: the floor, and the best of the others for JSON and for bytes. */
const FOR_SHAPES = ['smokesignal', 'net', 'nats', 'ws']
/** The modest rate of the latency measurement, messages per second. */
const MODEST = 500
/** Latency is measured with messages of this size only. */
const LATENCY_SIZE = 100

const say = (text) => process.stderr.write(`${text}\n`)
const list = (text) => text.split(',').filter(Boolean)

function options() {
  const { values } = parseArgs({
    args: process.argv.slice(2).flatMap(withAllShapes),
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      shapes: { type: 'string' },
      sizes: { type: 'string' },
      receivers: { type: 'string', default: '1,3' },
      rounds: { type: 'string' },
      svg: { type: 'string' },
    },
  })
  const everyone = values.shapes === undefined ? SYSTEMS : FOR_SHAPES
  const only = list(values.only ?? everyone.join()).map((name) =>
    name === 'ours' ? 'smokesignal' : name,
  )
  const unknown = only.filter((name) => !SYSTEMS.includes(name))
  if (unknown.length) throw new Error(`unknown: ${unknown}; there are: ${SYSTEMS.join(', ')}`)
  const sizes = list(values.sizes ?? (values.quick ? '100' : '100,1024,65536')).map(Number)
  return {
    ...{ json: values.json, svg: values.svg, only, isOfShapes: values.shapes !== undefined },
    tasks: values.shapes ? shapes(values.shapes) : sizes.map((size) => ({ size })),
    receivers: list(values.receivers).map(Number),
    rounds: Number(values.rounds ?? (values.quick ? 1 : 3)),
    seconds: values.quick
      ? { throughput: 0.5, modest: 0.8, half: 0.4 }
      : { throughput: 1.2, modest: 2, half: 1 },
  }
}

/** Lets `--shapes` stand without names. */
function withAllShapes(argument, index, all) {
  const isAlone = argument === '--shapes' && !/^[^-]/.test(all[index + 1] ?? '')
  return isAlone ? [`--shapes=${Object.keys(SHAPES)}`] : [argument]
}

function shapes(names) {
  const unknown = list(names).filter((name) => !(name in SHAPES))
  if (unknown.length) throw new Error(`unknown: ${unknown}; there are: ${Object.keys(SHAPES)}`)
  return list(names).map((shape) => ({ shape, size: SHAPES[shape].bytes ?? 100 }))
}

/** The others' packages: in bench/node_modules, fetched when the benchmark first needs them. */
function install(systems) {
  const needs = systems.map((name) => require(`./adapters/${name}`).requires)
  const isMissing = (name) => name && !isInstalled(name)
  if (!needs.some(isMissing)) return
  say(`Installing what to compare with into bench/node_modules (${needs.filter(isMissing)}) …`)
  try {
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], {
      cwd: __dirname,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  } catch {
    say('That failed; the contestants that need it are skipped.')
  }
}

function isInstalled(name) {
  try {
    require.resolve(name)
    return true
  } catch {
    return false
  }
}

function hasCommand(name) {
  const places = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/usr/local/sbin']
  return places.some((place) => fs.existsSync(path.join(place, name)))
}

/** Why a contestant cannot take part, or undefined. */
function obstacle(adapter) {
  const { broker, requires } = adapter
  if (requires && !isInstalled(requires)) return `no npm package "${requires}"`
  if (broker && !hasCommand(broker.command)) return `no program "${broker.command}" on this machine`
}

async function sample(system, adapter, { shape, size }, receivers, seconds) {
  const contest = await Contest.start(system, adapter, receivers, shape)
  const hasLatency = !shape && size === LATENCY_SIZE
  try {
    const modest = hasLatency ? await contest.latency(size, MODEST, seconds.modest) : undefined
    const flood = await contest.throughput(size, seconds.throughput)
    const half = hasLatency
      ? await contest.latency(size, flood.perSecond / 2, seconds.half)
      : undefined
    return { shape, size, receivers, system, title: adapter.title, ...flood, modest, half }
  } finally {
    contest.stop()
  }
}

/** Round by round, in each every contestant in turn: what disturbs the machine disturbs them all. */
async function contests({ tasks, receivers, rounds, seconds }, adapters) {
  const samples = []
  const failures = []
  const contestants = [...adapters]
  for (let round = 0; round < rounds; round++) {
    for (const task of tasks) {
      for (const count of receivers) {
        for (const [system, adapter] of rotate(contestants, round)) {
          const name = task.shape ?? `${task.size} bytes`
          const what = `round ${round + 1}/${rounds}, ${name}, ${count} receivers, ${adapter.title}`
          try {
            const one = await sample(system, adapter, task, count, seconds)
            samples.push({ ...one, round })
            say(`${what}: ${Math.round(one.perSecond).toLocaleString('en-US')}/s`)
          } catch (error) {
            if (!(error instanceof ContestError)) throw error
            failures.push({ round, ...task, receivers: count, system, error: error.message })
            say(`${what}: FAILED: ${error.message}`)
          }
        }
      }
    }
  }
  return { samples, failures }
}

function rotate(items, by) {
  const at = by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

async function main() {
  const wanted = options()
  install(wanted.only)
  const adapters = new Map()
  const skipped = {}
  for (const system of wanted.only) {
    const adapter = require(`./adapters/${system}`)
    const reason = obstacle(adapter)
    if (reason) {
      skipped[system] = reason
      say(`${adapter.title} is skipped: ${reason}`)
    } else adapters.set(system, adapter)
  }
  const { samples, failures } = await contests(wanted, adapters)
  const machine = { cpus: os.cpus().length, cpu: os.cpus()[0].model, node: process.version }
  const rows = summarize(samples)
  if (wanted.json) console.log(JSON.stringify({ machine, rows, skipped, failures }, null, 2))
  else console.log(`\n${(wanted.isOfShapes ? shapesTable : table)(rows)}`)
  if (wanted.svg && rows.length) fs.writeFileSync(wanted.svg, picture(rows, machine))
  if (failures.length) process.exitCode = 1
}

// What has options of its own is a program of its own.
const run = process.argv.includes('--requests') ? require('./requests').main : main
run().catch((error) => {
  say(error.stack)
  process.exitCode = 1
})
