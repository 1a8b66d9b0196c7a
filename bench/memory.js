'use strict'

// npm run bench:memory -- [--seconds 60]
//
// What a node weighs: resident memory of a process with an idle one beside that of a bare process, and
// of six processes, one of which broadcasts to the five others as fast as they take it. Linux.

const { fork } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const { parseArgs } = require('node:util')

const RECEIVERS = 5
const WARM_UP = 10
const PER_TICK = 256

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))
const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(1)

function resident({ pid }) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]) * 1024
}

const roles = {
  bare() {
    setInterval(() => {}, 1000)
  },

  async idle() {
    await start({})
  },

  async receiver(port) {
    const node = await start({ seeds: [{ address: '127.0.0.1', port: Number(port) }] })
    node.broadcast.on('message', () => {})
  },

  async publisher() {
    const node = await start({ maxPeerNo: RECEIVERS })
    process.send(node.options.port)
    while (node.peers.list.length < RECEIVERS) await pause(0.01)
    process.send('connected')
    const text = 'x'.repeat(50)
    for (let n = 0; ; ) {
      let hasRoom = true
      for (const end = n + PER_TICK; n < end && hasRoom; n++) {
        hasRoom = node.broadcast.emit('message', { n, user: 'somebody', text })
      }
      if (!hasRoom) await new Promise((resolve) => node.broadcast.once('drain', resolve))
      await new Promise(setImmediate)
    }
  },
}

async function start(options) {
  const { createNode } = require('..')
  const node = createNode({ address: '127.0.0.1', ...options })
  await node.start()
  return node
}

function spawn(...args) {
  const child = fork(__filename, args)
  process.on('exit', () => child.kill())
  return child
}

async function main() {
  const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } })
  const seconds = Number(values.seconds)

  const [bare, idle] = [spawn('bare'), spawn('idle')]
  await pause(3)
  const [without, withNode] = [resident(bare), resident(idle)]
  console.log(
    `idle: ${mebibytes(withNode)} MiB, ${mebibytes(withNode - without)} MiB above a bare process`,
  )
  for (const child of [bare, idle]) child.kill()

  const publisher = spawn('publisher')
  const [port] = await once(publisher, 'message')
  const receivers = Array.from({ length: RECEIVERS }, () => spawn('receiver', String(port)))
  await once(publisher, 'message')
  const all = [publisher, ...receivers]
  await pause(WARM_UP)
  const early = all.map(resident)
  await pause(seconds - WARM_UP)
  const late = all.map(resident)
  for (const [index, name] of ['publisher', ...receivers.map(() => 'receiver')].entries()) {
    const grown = mebibytes(late[index] - early[index])
    console.log(
      `${name}: ${mebibytes(early[index])} MiB after ${WARM_UP} s, ${mebibytes(late[index])} MiB after ${seconds} s (${grown})`,
    )
  }
  process.exit()
}

const [role, port] = process.argv.slice(2)
if (Object.hasOwn(roles, role ?? '')) {
  process.on('disconnect', () => process.exit())
  roles[role](port)
} else {
  main()
}
