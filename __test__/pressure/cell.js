'use strict'

// One cell of the matrix: senders that wait for 'drain', receivers, one of them slow, and relays
// between. In every cell, nothing is lost and memory stays bounded.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const path = require('node:path')
const { promisify } = require('node:util')
const { Lan } = require('../support/namespaces')
const { RemoteNode } = require('../support/process')
const { pause } = require('../support/wait')

const WORKER = path.join(__dirname, 'worker.js')
const MIB = 1 << 20
const run = promisify(execFile)

/** The slow part, by name: a handler, a reader, the process, or the link to it. */
const SLOWNESS = {
  none: { kind: 'none', ms: 0 },
  'handler 0.1 ms': { kind: 'handler', ms: 0.1 },
  'handler 2 ms': { kind: 'handler', ms: 2 },
  'handler 50 ms': { kind: 'handler', ms: 50 },
  'paused stream': { kind: 'paused', ms: 5 },
  'slow writable': { kind: 'writable', ms: 5 },
  'blocked 0.1 s': { kind: 'blocked', ms: 100 },
  'blocked 5 s': { kind: 'blocked', ms: 5000 },
  'stopped 1 s': { kind: 'stopped', ms: 1000 },
  'stopped 5 s': { kind: 'stopped', ms: 5000 },
  '1 Mbit/s': { kind: 'link', rate: '1mbit', bytesPerSecond: 125_000 },
  // TCP achieves about 1.2 segments / (round trip x square root of the loss): 60 kB/s (Mathis,
  // Semke, Mahdavi, "The Macroscopic Behavior of the TCP Congestion Avoidance Algorithm").
  '200 ms, 2 % loss': { kind: 'link', worn: { delay: 100, loss: 2 }, bytesPerSecond: 40_000 },
}
const READERS = ['paused stream', 'slow writable']
const MODES = ['emit', 'buffer', 'direct', 'write']
const SIZES = [10, 1000, 65_536, MIB]

/** Memory limit of every process: V8's heap, a window, the caches. */
const MOST_RSS = 450 * MIB
/** A cell fails if the slow receiver makes no progress for this long. */
const STUCK_MS = 60_000

/**
 * Whether a cell makes sense: only readers of chunks can be slow, and direct messages need
 * neighbours.
 */
function isSensible({ slow, mode, size, relays, origins }) {
  if (READERS.includes(slow) && mode !== 'write') return false
  // A mebibyte takes eight seconds, each time that a peer begins to send it.
  if (SLOWNESS[slow].kind === 'link' && size > 65_536) return false
  return !(mode === 'direct' && (relays > 0 || origins > 1))
}

/**
 * The number of messages: enough that senders must wait, few enough that the slow receiver
 * finishes.
 */
function amount({ slow, size, origins, seconds }) {
  const { kind, ms, bytesPerSecond } = SLOWNESS[slow]
  const bytes = { handler: Infinity, link: bytesPerSecond * seconds }[kind] ?? 48 * MIB
  const items = ['handler', 'paused', 'writable'].includes(kind) ? (1000 * seconds) / ms : 200_000
  const least = kind === 'link' ? 2 : 20
  return Math.max(least, Math.ceil(Math.min(items, bytes / size, (96 * MIB) / size) / origins))
}

/** A window small enough that a slow receiver fills it within the cell. */
function windowFor(cell, count) {
  const bytes = (count * (cell.size + 256)) / 4
  return { queuePerPeer: Math.round(Math.min(8 * MIB, Math.max(64 * 1024, bytes))) }
}

class Cell {
  /** `seed` decides which frames a bad cable loses. */
  constructor(cell, seed = 1) {
    this.seed = seed
    this.cell = {
      receivers: 1,
      relays: 0,
      origins: 1,
      size: 1000,
      mode: 'emit',
      seconds: 2,
      ...cell,
    }
    this.slow = SLOWNESS[this.cell.slow]
    this.nodes = []
    this.lan = null
  }

  get name() {
    const { slow, mode, size, receivers, relays, origins } = this.cell
    return `${slow}: ${mode}, ${size} B, ${receivers} receivers, ${relays} relays, ${origins} origins`
  }

  async #start(options, more = {}, host = undefined) {
    const address = host?.address ?? '127.0.0.1'
    const node = new RemoteNode(
      'ours',
      { address, ...options },
      {
        program: WORKER,
        namespace: host?.namespace,
      },
    )
    this.nodes.push(node)
    await node.ready()
    const { id, port } = await node.command('start', { options: node.options, ...more })
    Object.assign(node, { id, port })
    // In turn, so that the network is whole before the first message.
    if (options.seeds) await node.until(() => node.peers.length > 0, 10_000, 'it is in')
    return node
  }

  /** Senders in the middle, a row of relays, the receivers behind the last one. */
  async #build(limits) {
    const { receivers, relays, origins } = this.cell
    if (this.slow.kind === 'link') {
      this.lan = await Lan.create(Array.from({ length: 16 }, (_, n) => `10.9.0.${n + 1}`))
    }
    let hosts = 0
    const host = () => this.lan?.hosts[hosts++]
    const one = { minPeerNo: 1, maxPeerNo: 50 }
    const seedOf = (node) => [{ address: node.address, port: node.port }]
    let last = await this.#start(one, { limits }, host())
    const senders = [last]
    while (senders.length < origins) {
      const node = await this.#start({ ...one, seeds: seedOf(last) }, { limits }, host())
      senders.push(node)
    }
    for (let relay = 0; relay < relays; relay++) {
      last = await this.#start({ ...one, seeds: seedOf(last) }, { limits }, host())
    }
    const ends = []
    while (ends.length < receivers) {
      const isSlow = ends.length === 0
      const at = host()
      const slow = isSlow ? this.slow : undefined
      const node = await this.#start({ ...one, seeds: seedOf(last) }, { limits, slow }, at)
      if (isSlow && this.slow.rate) await this.#throttle(at)
      if (isSlow && this.slow.worn) {
        await this.lan.wear(this.lan.hosts.indexOf(at), { ...this.slow.worn, seed: this.seed })
      }
      ends.push(node)
    }
    // Direct messages need peers, and the network chooses who they are.
    if (this.cell.mode === 'direct') {
      for (const { address, port } of ends) await senders[0].command('addPeer', { address, port })
    }
    return { senders, ends }
  }

  /** Bounds a host's traffic; the kernel keeps the time. */
  async #throttle(host) {
    const { rate } = this.slow
    const shape = ['root', 'tbf', 'rate', rate, 'burst', '16kb', 'latency', '400ms']
    await run('tc', ['-n', host.namespace, 'qdisc', 'add', 'dev', 'eth0', ...shape])
    const { bridge } = this.lan
    await run('tc', ['-n', bridge, 'qdisc', 'add', 'dev', host.port, ...shape])
  }

  /** Runs the cell. Returns its observations; throws on a broken promise. */
  async play() {
    const count = amount(this.cell)
    try {
      const { senders, ends } = await this.#build(windowFor(this.cell, count))
      const { mode, size } = this.cell
      const produced = senders.map((node, sender) =>
        node.command('produce', { mode, size, count, sender }, 10 * 60_000),
      )
      // Awaited below; until then, a failure must not count as unhandled.
      for (const outcome of produced) outcome.catch(() => {})
      if (this.slow.kind === 'stopped') await this.#freeze(ends[0])
      const total = count * senders.length
      const share = await this.#arrive(ends, total)
      const waits = (await Promise.all(produced)).map((outcome) => outcome.waits)
      return { ...(await this.#judge(ends, total, waits)), share }
    } finally {
      await Promise.all(this.nodes.map((node) => node.kill()))
      await this.lan?.destroy()
    }
  }

  async #freeze(node) {
    await pause(200)
    node.signal('SIGSTOP')
    await pause(this.slow.ms)
    node.signal('SIGCONT')
  }

  /**
   * Waits until all have everything. Returns the least that another had when the slow one was done.
   */
  async #arrive(ends, total) {
    let progress = { count: -1, at: Date.now() }
    let share = 1
    for (;;) {
      // The others after the slow one: it may answer late.
      const slow = await counted(ends[0])
      const others = await Promise.all(ends.slice(1).map((node) => counted(node)))
      const counts = [slow, ...others]
      if (slow >= total) share = Math.min(share, ...others.map((count) => count / total))
      if (counts.every((count) => count >= total)) return share
      const count = counts.reduce((sum, one) => sum + one)
      if (count > progress.count) progress = { count, at: Date.now() }
      if (Date.now() - progress.at > STUCK_MS) {
        const questions = ['heard', 'told', 'stats']
        const ask = (node) => Promise.all(questions.map((question) => node.command(question)))
        const state = await Promise.all(this.nodes.map(ask))
        assert.fail(`stuck at ${counts} of ${total} for ${STUCK_MS} ms: ${JSON.stringify(state)}`)
      }
      await pause(50)
    }
  }

  async #judge(ends, total, waits) {
    for (const node of ends) {
      const heard = Object.values(await node.command('heard'))
      assert.equal(
        heard.reduce((sum, { count }) => sum + count, 0),
        total,
      )
      for (const { wrong } of heard) assert.equal(wrong, 0, 'in order, nothing missing')
    }
    for (const node of this.nodes) {
      const told = await node.command('told')
      const nothing = { lost: 0, skipped: 0, slow: [], oversized: 0, streamErrors: [] }
      assert.deepEqual(told, nothing, node.name)
      assert.deepEqual(node.uncaught, [])
    }
    const sizes = await Promise.all(this.nodes.map((node) => node.command('rss')))
    const rss = sizes.map((bytes) => Math.round(bytes / MIB))
    assert.ok(Math.max(...sizes) < MOST_RSS, `${rss} MiB`)
    return { messages: total, waits, rss }
  }
}

async function counted(node) {
  // A suspended or busy process answers late.
  const heard = Object.values(await node.command('heard', {}, 60_000))
  return heard.reduce((sum, { count }) => sum + count, 0)
}

module.exports = { Cell, MODES, SIZES, SLOWNESS, isSensible }
