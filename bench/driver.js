'use strict'

// One process of the benchmark: a publisher or a receiver of one system, told over IPC what to do.
// Everything that measures is here and the same for all; what differs is in adapters/.

const { BATCH, SHAPES, sender } = require('./shapes')

const [, , role, system, port, receivers, shapeName] = process.argv
const adapter = require(`./adapters/${system}`)
// Without one, messages are objects of any size that carry the time of their sending.
const shape = SHAPES[shapeName]

// CLOCK_MONOTONIC: the same in all processes of one machine. Below 2^53 for 104 days of uptime.
const now = () => Number(process.hrtime.bigint())
const tick = () => new Promise(setImmediate)
const tell = (message) => process.send(message)

process.on('disconnect', () => process.exit())
process.on('message', (message) => {
  commands[message.command](message).then(
    (value) => tell({ answer: message.n, value }),
    (error) => tell({ answer: message.n, error: error.stack }),
  )
})

const usage = async () => ({ cpu: process.cpuUsage(), rss: process.memoryUsage.rss() })

const commands = role === 'publisher' ? publisher() : receiver()

function publisher() {
  let out
  let pad = ''

  /** An object whose JSON is about `size` bytes long. */
  const build = (run, n) => ({ run, n, at: now(), user: 'somebody', text: pad })
  const setSize = (size) => {
    pad = ''
    pad = 'x'.repeat(Math.max(0, size - JSON.stringify(build(1, 100000)).length))
  }

  /** As fast as the system takes them. Returns when the first was sent. */
  async function flood({ run, count, size }) {
    setSize(size)
    const send = shape ? sender(shape, out) : (n) => out.send(build(run, n))
    const batch = shape?.batch ?? BATCH
    const start = now()
    for (let n = 0; n < count; ) {
      const end = Math.min(count, n + batch)
      let hasRoom = true
      while (n < end && hasRoom) hasRoom = send(n++)
      await out.endOfTick?.()
      if (!hasRoom) await out.room()
      await tick()
    }
    return start
  }

  /** At a steady rate. A message's time is that of the call that sends it. */
  async function pace({ run, count, size, rate }) {
    setSize(size)
    const start = now()
    for (let n = 0; n < count; ) {
      const due = Math.min(count, Math.floor(((now() - start) / 1e9) * rate) + 1)
      let hasRoom = true
      while (n < due) hasRoom = out.send(build(run, n++)) && hasRoom
      await out.endOfTick?.()
      if (!hasRoom) await out.room()
      if (n < count) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    return start
  }

  return {
    async open() {
      out = await adapter.publisher({ port: Number(port), receivers: Number(receivers) })
    },
    async isReady() {
      return out.isReady()
    },
    flood,
    pace,
    usage,
  }
}

function receiver() {
  let run = 0
  let heard = 0
  let wanted = 0
  let latencies = null
  let last = 0
  let done = () => {}
  let complete = Promise.resolve()

  function hear(message) {
    if (!shape && message.run !== run) return
    if (latencies) latencies[heard] = now() - message.at
    if (++heard !== wanted) return
    last = now()
    done()
  }

  return {
    async open() {
      await adapter.receiver({ port: Number(port), hear, shape })
    },
    /** Forgets what was and waits for `count` messages of this run. */
    async expect(next) {
      run = next.run
      wanted = next.count
      heard = 0
      latencies = next.latency ? new Float64Array(wanted) : null
      complete = new Promise((resolve) => {
        done = resolve
      })
    },
    async heard() {
      return heard
    },
    /** When the last one came, and the latencies in microseconds. */
    async result() {
      await complete
      if (!latencies) return { last }
      latencies.sort()
      const at = (q) => latencies[Math.min(wanted - 1, Math.floor(q * wanted))] / 1000
      return { last, p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    },
    usage,
  }
}
