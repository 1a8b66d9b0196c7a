'use strict'

// npm run bench -- --requests [--json] [--rounds 3] [--seconds 1] [--only smokesignal,net,nats,socket.io]
//
// A request and its answer, one hop and two, one and a hundred under way. Every process of a system runs
// by itself; round by round, each system has its turn.

const { fork, spawn, execFileSync } = require('node:child_process')
const { once } = require('node:events')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const systems = require('./requests/systems')

const PROGRAM = path.join(__dirname, 'requests', 'program.js')
const IN_FLIGHT = [1, 100]
/** For a step that does not end, in ms. */
const PATIENCE = 20_000

const say = (text) => process.stderr.write(`${text}\n`)
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

async function main() {
  const { values } = parseArgs({
    options: {
      requests: { type: 'boolean' },
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '1' },
      only: { type: 'string', default: Object.keys(systems).join() },
    },
  })
  const names = values.only.split(',').filter(isAvailable)
  const samples = []
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const hops of [1, 2]) {
      for (const name of names) {
        if (!(systems[name].hops ?? [1, 2]).includes(hops)) continue
        for (const sample of await contest(name, hops, Number(values.seconds))) {
          samples.push({ name, hops, ...sample })
        }
      }
    }
  }
  const rows = summarize(samples)
  const machine = { cpus: os.cpus().length, cpu: os.cpus()[0].model, node: process.version }
  if (values.json) console.log(JSON.stringify({ machine, rows }, null, 2))
  else console.log(table(rows))
}

function isAvailable(name) {
  const { requires, broker, title } = systems[name] ?? {}
  if (title === undefined) throw new Error(`unknown: ${name}; there are: ${Object.keys(systems)}`)
  try {
    if (requires) require.resolve(requires)
    if (broker) execFileSync('which', [broker.command], { env: withSbin(), stdio: 'ignore' })
    return true
  } catch {
    say(
      `${title} is skipped: it needs ${[requires, broker?.command].filter(Boolean).join(' and ')}`,
    )
    return false
  }
}

const withSbin = () => ({ ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` })

/** One system with so many hops, from start to end. */
async function contest(name, hops, seconds) {
  const children = []
  const { broker } = systems[name]
  const [port, relayPort, brokerPort] = await freePorts(3)
  try {
    if (broker) {
      const options = { stdio: 'ignore', cwd: '/', env: withSbin() }
      children.push(spawn(broker.command, broker.args(brokerPort), options))
      await listening(brokerPort)
    }
    const start = async (role, settings) => {
      const argv = [role, name, JSON.stringify({ hops, brokerPort, ...settings })]
      const child = fork(PROGRAM, argv, { execArgv: ['--no-deprecation'] })
      children.push(child)
      await answerOf(child)
      return child
    }
    await start('answer', { port })
    if (hops === 2 && !broker) await start('relay', { port: relayPort, next: port })
    const asker = await start('ask', { port: hops === 2 ? relayPort : port })
    const found = []
    for (const inFlight of IN_FLIGHT) {
      asker.send({ inFlight, seconds })
      found.push({ inFlight, ...(await answerOf(asker)) })
      const { perSecond, p50 } = found.at(-1)
      say(
        `${name}, hops ${hops}, under way ${inFlight}: ${Math.round(perSecond)}/s, ${Math.round(p50)} µs`,
      )
    }
    return found
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}

async function answerOf(child) {
  const [message] = await once(child, 'message', { signal: AbortSignal.timeout(PATIENCE) })
  if (message.error) throw new Error(message.error)
  return message
}

async function freePorts(count) {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

async function listening(port) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
    const socket = net.connect(port, '127.0.0.1')
    const isUp = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isUp) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('the broker does not listen')
}

/** The medians of all rounds. */
function summarize(samples) {
  const groups = grouped(samples)
  return [...groups.values()].map((group) => {
    const of = (inFlight, what) =>
      median(group.filter((sample) => sample.inFlight === inFlight).map((sample) => sample[what]))
    const [{ name, hops }] = group
    const [one, many] = IN_FLIGHT
    const latency = { p50: of(one, 'p50'), p99: of(one, 'p99') }
    return { name, hops, ...latency, perSecond: of(many, 'perSecond') }
  })
}

function grouped(samples) {
  const groups = new Map()
  for (const sample of samples) {
    const key = `${sample.name} ${sample.hops}`
    groups.set(key, [...(groups.get(key) ?? []), sample])
  }
  return groups
}

function table(rows) {
  const lines = rows.map(({ name, hops, p50, p99, perSecond }) => {
    const rate = Math.round(perSecond).toLocaleString('en-US')
    return `| ${systems[name].title} | ${hops} | ${Math.round(p50)} | ${Math.round(p99)} | ${rate}/s |`
  })
  return [
    '| request and answer | hops | p50, µs, 1 under way | p99, µs | 100 under way |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...lines,
  ].join('\n')
}

module.exports = { main }
