'use strict'

// One contest: a publisher, its receivers and, if it needs one, its broker, each in a process of
// its own, from start to end.

const { fork, spawn } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')

const DRIVER = path.join(__dirname, 'driver.js')
/** USER_HZ: what /proc counts in, on every Linux that Node runs on. */
const CLOCK_TICKS_PER_SECOND = 100

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Whatever goes wrong with one contestant: the others go on. */
class ContestError extends Error {}

async function within(promise, ms, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new ContestError(`${what}: not within ${ms} ms`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

class Contestant {
  constructor(role, system, ...more) {
    this.name = `${system} ${role}`
    this.requests = new Map()
    this.sent = 0
    this.child = fork(DRIVER, [role, system, ...more.map(String)], {
      execArgv: ['--no-deprecation'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    let stderr = ''
    this.child.stderr.on('data', (text) => {
      stderr = (stderr + text).slice(-2000)
    })
    this.child.on('message', ({ answer, value, error }) => {
      const { resolve, reject } = this.requests.get(answer)
      this.requests.delete(answer)
      if (error) reject(new ContestError(`${this.name}: ${error}`))
      else resolve(value)
    })
    this.child.on('exit', (code, signal) => {
      for (const { reject } of this.requests.values()) {
        reject(new ContestError(`${this.name} ended with ${signal ?? code}: ${stderr}`))
      }
    })
  }

  ask(command, more, ms = 20000) {
    const n = ++this.sent
    const answer = new Promise((resolve, reject) => {
      this.requests.set(n, { resolve, reject })
      this.child.send({ n, command, ...more }, (error) => error && reject(error))
    })
    // A failure that nobody waits for at that moment is found by the next command.
    answer.catch(() => {})
    return within(answer, ms, `${this.name}: ${command}`)
  }

  stop() {
    this.child.kill('SIGKILL')
  }
}

class Broker {
  constructor({ command, args }, port) {
    this.child = spawn(command, args(port), { stdio: 'ignore', cwd: '/' })
    this.child.on('error', () => {})
    this.pid = this.child.pid
  }

  async isUp(port) {
    for (let attempt = 0; attempt < 200; attempt++) {
      if (await canConnect(port)) return
      await pause(25)
    }
    throw new ContestError('the broker does not answer')
  }

  /** Like `process.cpuUsage`, in microseconds, and resident bytes. */
  usage() {
    const stat = fs.readFileSync(`/proc/${this.pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const status = fs.readFileSync(`/proc/${this.pid}/status`, 'utf8')
    const microseconds = (ticks) => (Number(ticks) / CLOCK_TICKS_PER_SECOND) * 1e6
    return {
      cpu: { user: microseconds(fields[11]), system: microseconds(fields[12]) },
      rss: Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]) * 1024,
    }
  }

  stop() {
    this.child.kill('SIGKILL')
  }
}

function canConnect(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true) || socket.destroy())
    socket.once('error', () => resolve(false))
  })
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** Starts everything, connects it and has it send until every receiver has heard something. */
class Contest {
  static async start(system, adapter, receivers, shape = '') {
    const port = await freePort()
    const contest = new Contest()
    try {
      if (adapter.broker) {
        contest.broker = new Broker(adapter.broker, port)
        await contest.broker.isUp(port)
      }
      contest.publisher = new Contestant('publisher', system, port, receivers, shape)
      await contest.publisher.ask('open')
      for (let n = 0; n < receivers; n++) {
        const receiver = new Contestant('receiver', system, port, receivers, shape)
        contest.receivers.push(receiver)
        await receiver.ask('open')
      }
      await contest.#connect()
    } catch (error) {
      contest.stop()
      throw error
    }
    return contest
  }

  receivers = []
  run = 0

  async #connect() {
    const until = Date.now() + 20000
    while (!(await this.publisher.ask('isReady'))) {
      if (Date.now() > until) throw new ContestError('the receivers do not connect')
      await pause(10)
    }
    // A subscription takes its time to reach the publisher: knock until everyone has heard it.
    const run = ++this.run
    await this.#expect({ run, count: Infinity })
    for (;;) {
      await this.publisher.ask('flood', { run, count: 1, size: 100 })
      await pause(10)
      const heard = await Promise.all(this.receivers.map((receiver) => receiver.ask('heard')))
      // What was sent last may still be on its way to others.
      if (heard.every((count) => count > 0)) return pause(30)
      if (Date.now() > until) throw new ContestError('a receiver hears nothing')
    }
  }

  #expect(more) {
    return Promise.all(this.receivers.map((receiver) => receiver.ask('expect', more)))
  }

  async #usage() {
    const processes = [this.publisher, ...this.receivers]
    const usages = await Promise.all(processes.map((one) => one.ask('usage')))
    if (this.broker) usages.push(this.broker.usage())
    const sum = (of) => usages.reduce((total, usage) => total + of(usage), 0)
    return { cpu: sum(({ cpu }) => cpu.user + cpu.system), rss: sum(({ rss }) => rss) }
  }

  async #measure(command, { count, latency, ...more }, ms) {
    const run = ++this.run
    await this.#expect({ run, count, latency })
    const before = await this.#usage()
    const results = this.receivers.map((receiver) => receiver.ask('result', {}, ms))
    const start = await this.publisher.ask(command, { run, count, ...more }, ms)
    const ends = await Promise.all(results)
    const after = await this.#usage()
    return { start, ends, cpu: (after.cpu - before.cpu) / count, rss: after.rss }
  }

  /** As many messages as `seconds` take: rate until the slowest receiver has the last, CPU, memory. */
  async throughput(size, seconds) {
    let count = size > 10000 ? (size > 100000 ? 5 : 50) : 1000
    let rate = await this.#rate(count, size)
    // The first guess is that of cold code, and it takes seconds until caches are full and code is warm.
    for (const part of [0.15, 0.5, 1, 1]) {
      count = Math.max(count, Math.round(rate.perSecond * seconds * part))
      rate = await this.#rate(count, size)
    }
    count = Math.max(count, Math.round(rate.perSecond * seconds))
    return this.#rate(count, size)
  }

  async #rate(count, size) {
    const { start, ends, cpu, rss } = await this.#measure('flood', { count, size }, 30000)
    const end = Math.max(...ends.map(({ last }) => last))
    return { perSecond: count / ((end - start) / 1e9), cpu, rss }
  }

  /** Microseconds from send to handler at a fixed rate; of the receiver that fared worst. */
  async latency(size, rate, seconds) {
    const count = Math.max(100, Math.round(rate * seconds))
    const ms = seconds * 1000 + 20000
    const { ends } = await this.#measure('pace', { count, size, rate, latency: true }, ms)
    const worst = (of) => Math.max(...ends.map(of))
    return { p50: worst((e) => e.p50), p99: worst((e) => e.p99), p999: worst((e) => e.p999) }
  }

  stop() {
    for (const one of [...this.receivers, this.publisher, this.broker]) one?.stop()
  }
}

module.exports = { Contest, ContestError }
