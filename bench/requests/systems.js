'use strict'

// How each system asks and answers, one hop or two. `answer` runs in the process that answers, `relay`
// in the one in the middle, `ask` in the one that asks: it resolves to `ask(message) → answer`.

const net = require('node:net')
const { once } = require('node:events')

const HOST = '127.0.0.1'

/** Lines of JSON over a socket, those of a tick in one write. */
function lines(socket, onLine) {
  let rest = ''
  socket.setNoDelay(true).setEncoding('utf8')
  socket.on('data', (text) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop()
    for (const part of parts) onLine(JSON.parse(part))
  })
  let batch = ''
  return (value) => {
    if (batch === '') queueMicrotask(flush)
    batch += `${JSON.stringify(value)}\n`
  }
  function flush() {
    socket.write(batch)
    batch = ''
  }
}

exports.net = {
  title: 'net sockets (floor)',
  async answer({ port }) {
    net
      .createServer((socket) => {
        const send = lines(socket, (line) => send(line))
      })
      .listen(port, HOST)
  },
  async relay({ port, next }) {
    net
      .createServer((socket) => {
        const other = net.connect(next, HOST)
        for (const end of [socket, other]) end.setNoDelay(true)
        socket.pipe(other).pipe(socket)
      })
      .listen(port, HOST)
  },
  async ask({ port }) {
    const socket = net.connect(port, HOST)
    await once(socket, 'connect')
    const waiting = new Map()
    let last = 0
    const send = lines(socket, ([n, value]) => {
      waiting.get(n)(value)
      waiting.delete(n)
    })
    return (message) =>
      new Promise((resolve) => {
        waiting.set(++last, resolve)
        send([last, message])
      })
  },
}

/** A node that takes no more links than it is to have, so that a line stays a line. */
function node(options) {
  const { createNode } = require('../..')
  return createNode({ address: HOST, minPeerNo: 1, maxPeerNo: 1, ...options })
}

/** Two hops stay two: the pair gets no link of its own. */
const NO_SHORTCUTS = { limits: { maxShortcuts: 0 } }

const seed = (port) => [{ address: HOST, port }]

exports.smokesignal = {
  title: 'smokesignal',
  async answer({ port }) {
    const it = node({ port, ...NO_SHORTCUTS })
    it.handle('echo', (_, message) => message)
    await it.start()
  },
  async relay({ port, next }) {
    await node({ port, seeds: seed(next), minPeerNo: 2, maxPeerNo: 2 }).start()
  },
  async ask({ port, hops }) {
    const it = node({ seeds: seed(port), ...NO_SHORTCUTS })
    const target = await reach(it, hops)
    return (message) => target.emitWithAck('echo', message)
  },
}

/** Starts a node that asks over so many links. */
async function reach(it, hops) {
  await it.start()
  await it.ready({ members: hops + 1, timeout: 10_000 })
  const [{ id }] = [...it.members.values()].filter(({ handles }) => handles.includes('echo'))
  if ((it.peers.inList(id) !== false) !== (hops === 1)) throw new Error('not so many hops')
  return it.to(id)
}

exports['smokesignal-shortcut'] = {
  title: 'smokesignal, by a shortcut',
  hops: [2],
  async answer({ port }) {
    const it = node({ port })
    it.handle('echo', (_, message) => message)
    await it.start()
  },
  relay: exports.smokesignal.relay,
  async ask({ port, hops }) {
    const it = node({ seeds: seed(port) })
    const target = await reach(it, hops)
    while (it.stats().shortcuts === 0) {
      await Promise.all(Array.from({ length: 100 }, (_, n) => target.emitWithAck('echo', n)))
    }
    return (message) => target.emitWithAck('echo', message)
  },
}

exports.nats = {
  title: 'NATS request/reply',
  requires: 'nats',
  // Its server is always in between.
  hops: [2],
  broker: { command: 'nats-server', args: (port) => ['-a', HOST, '-p', String(port)] },
  async answer({ brokerPort }) {
    const { StringCodec, connect } = require('nats')
    const codec = StringCodec()
    const connection = await connect({ servers: `${HOST}:${brokerPort}` })
    connection.subscribe('echo', {
      callback: (_, message) => {
        message.respond(codec.encode(JSON.stringify(JSON.parse(codec.decode(message.data)))))
      },
    })
    await connection.flush()
  },
  async ask({ brokerPort }) {
    const { StringCodec, connect } = require('nats')
    const codec = StringCodec()
    const connection = await connect({ servers: `${HOST}:${brokerPort}` })
    return async (message) => {
      const reply = await connection.request('echo', codec.encode(JSON.stringify(message)))
      return JSON.parse(codec.decode(reply.data))
    }
  },
}

/** A socket.io server that knows others through Redis. */
async function socketIo({ port, brokerPort }) {
  const { createClient } = require('redis')
  const { createAdapter } = require('@socket.io/redis-adapter')
  const { Server } = require('socket.io')
  const clients = [0, 1].map(() => createClient({ url: `redis://${HOST}:${brokerPort}` }))
  for (const client of clients) {
    client.on('error', () => {})
    await client.connect()
  }
  return new Server(port, { adapter: createAdapter(...clients), serveClient: false })
}

exports['socket.io'] = {
  title: 'socket.io, Redis adapter',
  requires: '@socket.io/redis-adapter',
  hops: [2],
  broker: require('../adapters/redis').broker,
  async answer(ports) {
    const io = await socketIo(ports)
    io.on('echo', (message, answer) => answer(message))
  },
  async ask({ brokerPort }) {
    const io = await socketIo({ port: 0, brokerPort })
    // Until the servers know each other, nobody answers.
    for (let answers = []; answers.length !== 1; ) {
      answers = await io.serverSideEmitWithAck('echo', 0).catch(() => [])
    }
    return async (message) => (await io.serverSideEmitWithAck('echo', message))[0]
  },
}
