'use strict'

// The legacy protocol by hand: what a test needs to be the other end of a node, byte by byte.

const crypto = require('node:crypto')
const net = require('node:net')
const { Watched, poll } = require('./wait')

const md5 = (text) => crypto.createHash('md5').update(text).digest('hex')

let uuids = 0
const uuid = () => `u${process.pid.toString(36)}${(uuids++).toString(36)}`

/** A packet as a legacy node makes it: `{id: "<origin>-<uuid>-<md5>", data}`. */
function packet(origin, data) {
  return { id: `${origin}-${uuid()}-${md5(JSON.stringify(data))}`, data }
}

/** Whether a legacy node would take the packet: its hash is that of the data, re-serialised. */
function hashIsRight(packet) {
  return packet.id.split('-')[2] === md5(JSON.stringify(packet.data))
}

/** One TCP connection that speaks lines and remembers all it heard. */
class Wire extends Watched {
  constructor(socket) {
    super()
    this.socket = socket
    /** Every line heard, parsed. */
    this.lines = []
    /** How many of them `next` has handed out, by type. */
    this.taken = new Map()
    this.ended = false
    this.closed = false
    this.error = null
    let rest = ''
    socket.setEncoding('utf8')
    socket.on('data', (text) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop()
      for (const line of lines) this.lines.push(JSON.parse(line))
      this.changed()
    })
    socket.on('connect', () => this.changed())
    socket.on('end', () => {
      this.ended = true
      this.changed()
    })
    socket.on('close', () => {
      this.closed = true
      this.changed()
    })
    socket.on('error', (error) => {
      this.error = error
      this.changed()
    })
  }

  dump() {
    const { ended, closed, error } = this
    return JSON.stringify({ lines: this.lines, ended, closed, error: error?.code }).slice(0, 4000)
  }

  /** Lines of one type, parsed, without the leading `"smoke", type`. */
  of(type) {
    return this.lines.filter((line) => line[1] === type).map((line) => line.slice(2))
  }

  /** The next line of that type that was not handed out yet. */
  async next(type, ms = 5000) {
    const index = this.taken.get(type) ?? 0
    this.taken.set(type, index + 1)
    return this.until(() => this.of(type)[index], ms, `line "${type}" number ${index + 1}`)
  }

  /** `["smoke", type].concat(data)` and a newline, exactly as nssocket writes it. */
  send(type, data) {
    this.raw(`${JSON.stringify(['smoke', type].concat(data))}\n`)
  }

  raw(text) {
    this.socket.write(text)
  }

  /** Floods a packet with this data; returns the packet. */
  broadcast(origin, data) {
    const sent = packet(origin, data)
    this.send('broadcast', sent)
    return sent
  }

  /** Sends the handshake and waits for the ack. Returns the ack's data. */
  async handshake(id, ms) {
    this.id = id
    this.send('handshake', { id })
    const [data] = await this.next('handshake ack', ms)
    return data
  }

  async gone(ms = 5000) {
    await this.until(() => this.closed, ms, 'the connection is closed')
  }

  destroy() {
    this.socket.destroy()
  }
}

/** Connects to a node; nothing is sent. `allowHalfOpen`, so that its FIN can be told from a close. */
async function dial(port, { host = '127.0.0.1', localAddress } = {}) {
  const socket = net.connect({ port, host, localAddress, allowHalfOpen: true })
  const wire = new Wire(socket)
  await wire.until(() => wire.error || !socket.connecting, 5000, `connection to ${host}:${port}`)
  if (wire.error) throw wire.error
  socket.on('end', () => socket.end())
  return wire
}

/** Connects to a node and becomes its peer. */
async function join(port, id, options) {
  const wire = await dial(port, options)
  wire.ack = await wire.handshake(id)
  return wire
}

/** A server that does nothing by itself: a test takes its connections one by one. */
class WireServer extends Watched {
  static async listen(port = 0, host = '127.0.0.1') {
    const server = new WireServer()
    server.connections = []
    server.taken = 0
    server.server = net.createServer({ allowHalfOpen: true }, (socket) => {
      server.connections.push(new Wire(socket))
      server.changed()
    })
    await new Promise((resolve, reject) => {
      server.server.once('error', reject)
      server.server.listen(port, host, resolve)
    })
    server.port = server.server.address().port
    server.address = host
    return server
  }

  dump() {
    return this.connections.map((wire) => wire.dump()).join('\n')
  }

  /** The next connection that was not handed out yet. */
  async next(ms = 5000) {
    const index = this.taken++
    return this.until(() => this.connections[index], ms, `connection number ${index + 1}`)
  }

  /** The first connection, old or new, whose first line is of that type and not yet handed out. */
  async nextOf(type, ms = 5000) {
    for (const wire of this.connections) this.#watch(wire)
    this.on('changed', () => {
      for (const wire of this.connections) this.#watch(wire)
    })
    return this.until(
      () => {
        const wire = this.connections.find((w) => !w.claimed && w.lines[0]?.[1] === type)
        if (wire) wire.claimed = true
        return wire
      },
      ms,
      `connection that begins with "${type}"`,
    )
  }

  #watch(wire) {
    if (wire.watched) return
    wire.watched = true
    wire.on('changed', () => this.changed())
  }

  /** Takes a dial-back: reads the handshake, sends the ack. */
  async accept(id, ms = 5000) {
    const wire = await this.nextOf('handshake', ms)
    const [data] = await wire.next('handshake', ms)
    wire.id = id
    wire.hello = data
    wire.send('handshake ack', { id })
    return wire
  }

  close() {
    for (const wire of this.connections) wire.destroy()
    return new Promise((resolve) => this.server.close(resolve))
  }
}

/** Such a server, closed after the test. */
async function server(t) {
  const listening = await WireServer.listen()
  t.after(() => listening.close())
  return listening
}

/** A connection that `node` has as its peer `id`, closed after the test. */
async function peer(t, node, id) {
  const wire = await join(node.options.port, id)
  t.after(() => wire.destroy())
  await poll(() => node.peers.inList(id), 5000, `${id} is a peer`)
  return wire
}

module.exports = { Wire, WireServer, dial, hashIsRight, join, md5, packet, peer, server }
