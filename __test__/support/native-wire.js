'use strict'

// The native protocol by hand, for programs that do with it what no node would. The layouts are in
// src/proto/codec/native.rs.

const net = require('node:net')
const { NoiseSocket } = require('./noise')
const { Watched } = require('./wait')

const PUBLISH = 0x01
const IHAVE = 0x02
const GRAFT = 0x03
const GONE = 0x04
const HEARTBEAT = 0x10
const RECORDS = 0x17
const BUCKETS = 0x19
const DIRECT = 0x20
const LETTER = 0x24
const NOTE = 0x25
const SEALED_LETTER = 0x26
const SEALED_NOTE = 0x27

function frame(type, ...parts) {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length + 1)
  head[4] = type
  return Buffer.concat([head, body])
}

function number(value) {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

function origin({ id, epoch }) {
  return Buffer.concat([Buffer.from([id.length]), Buffer.from(id), number(epoch)])
}

function short(value) {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

function session(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** What a node says of itself, unsigned: `neighbours` are ids. */
function record({ id, epoch, version, isFinal = false, body = '', neighbours = [] }) {
  const named = neighbours.map((name) => [
    Buffer.from([name.length]),
    Buffer.from(name),
    Buffer.alloc(1),
  ])
  return Buffer.concat([
    origin({ id, epoch }),
    number(version),
    Buffer.from([isFinal ? 1 : 0]),
    Buffer.from('\x099.9.9.9.9'),
    short(9),
    short(Buffer.byteLength(body)),
    Buffer.from(body),
    short(neighbours.length),
    ...named.flat(),
  ])
}

/** `texts`: the JSON texts of events. */
function payload(texts) {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(texts.length, 1)
  return Buffer.concat([head, Buffer.from(texts.join('\n'))])
}

const frames = {
  publish: (from, first, texts) =>
    frame(PUBLISH, Buffer.from([0, 1]), origin(from), number(first), payload(texts)),
  ihave: (watermarks) =>
    frame(IHAVE, ...watermarks.map(([from, high]) => Buffer.concat([origin(from), number(high)]))),
  graft: (from, first, last) =>
    frame(GRAFT, origin(from), number(first), number(last), Buffer.alloc(4, 0xff)),
  gone: (from, first, last) => frame(GONE, origin(from), number(first), number(last)),
  heartbeat: () => frame(HEARTBEAT),
  records: (raws) => frame(RECORDS, ...raws.flatMap((raw) => [short(raw.length), raw])),
  /** "I have no records." */
  emptiness: () => frame(BUCKETS, Buffer.alloc(256 * 8)),
  /** With a code for each receiver, a sealed one: as in closed networks. */
  letter: ({ hops = 255, from, to, texts }) => {
    const isSealed = to[0].code !== undefined
    const receivers = to.map(({ origin: name, session: of = 1, first = 1, code }) => {
      return Buffer.concat([origin(name), session(of), number(first), code ?? Buffer.alloc(0)])
    })
    const head = [Buffer.from([hops]), origin(from), Buffer.from([to.length]), ...receivers]
    return frame(isSealed ? SEALED_LETTER : LETTER, ...head, payload(texts))
  },
  /** `what`: 0 = consumed, 1 = sent, up to `count`. */
  note: ({ from, to, of = 1, what, count, code = Buffer.alloc(0) }) => {
    const rest = [session(of), Buffer.from([what]), number(count)]
    const type = code.length > 0 ? SEALED_NOTE : NOTE
    return frame(type, code, Buffer.from([255]), origin(from), origin(to), ...rest)
  },
  direct: (texts) => frame(DIRECT, payload(texts)),
}

/** A peer of a node that speaks frames. Keeps who it heard broadcasts of, and the last frames. */
class NativePeer extends Watched {
  /** With a `secret`, to a closed network; the id then follows from a key. */
  static async join(port, id, { host = '127.0.0.1', reads = true, secret, aes, ...more } = {}) {
    const socket = secret
      ? new NoiseSocket(port, host, secret, { aes })
      : net.connect({ port, host })
    const peer = new NativePeer(socket)
    peer.id = secret ? socket.id : id
    const smoke2 = { v: 1, address: '127.0.0.1', port: 9, epoch: '0'.repeat(16), ...more }
    const hello = { id: peer.id, smoke2 }
    peer.raw(`${JSON.stringify(['smoke', 'handshake', hello])}\n`)
    await peer.until(() => peer.ack || peer.closed, 5000, 'an ack')
    if (!reads) peer.socket.pause()
    else peer.heartbeat = setInterval(() => peer.raw(frames.heartbeat()), 1500).unref()
    return peer
  }

  constructor(socket) {
    super()
    this.socket = socket
    this.ack = null
    this.closed = false
    /** By id: the origin of what came, as it must be named in a forgery. */
    this.origins = new Map()
    /** The last publish frames that came, as they came. */
    this.recorded = []
    /** By id: the last record that came of a node, as it came. */
    this.records = new Map()
    let rest = Buffer.alloc(0)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => {
      clearInterval(this.heartbeat)
      this.closed = true
      this.changed()
    })
    socket.on('data', (chunk) => {
      rest = this.#take(Buffer.concat([rest, chunk]))
      this.changed()
    })
  }

  #take(input) {
    let rest = input
    if (!this.ack) {
      const end = rest.indexOf('\n')
      if (end < 0) return rest
      this.ack = JSON.parse(rest.subarray(0, end).toString())
      rest = rest.subarray(end + 1)
    }
    while (rest.length >= 5) {
      const length = rest.readUInt32BE(0)
      if (rest.length < 4 + length) break
      this.#frame(rest.subarray(0, 4 + length))
      rest = rest.subarray(4 + length)
    }
    return rest
  }

  #frame(bytes) {
    const type = bytes[4]
    if (type === RECORDS) return this.#records(bytes.subarray(5))
    if (type !== PUBLISH && type !== IHAVE) return
    const at = type === PUBLISH ? 7 : 5
    if (bytes.length < at + 10) return
    const end = at + 1 + bytes[at]
    const id = bytes.subarray(at + 1, end).toString()
    this.origins.set(id, { id, epoch: bytes.readBigUInt64BE(end) })
    if (type !== PUBLISH) return
    this.recorded.push(Buffer.from(bytes))
    if (this.recorded.length > 200) this.recorded.shift()
  }

  #records(bytes) {
    for (let at = 0; at < bytes.length; at += 2 + bytes.readUInt16BE(at)) {
      const raw = bytes.subarray(at + 2, at + 2 + bytes.readUInt16BE(at))
      const end = 1 + raw[0]
      const id = raw.subarray(1, end).toString()
      this.origins.set(id, { id, epoch: raw.readBigUInt64BE(end) })
      this.records.set(id, Buffer.from(raw))
    }
  }

  /** Asks for the records of these nodes, until it has them: the other side compares one at a time. */
  async learn(ids) {
    const asking = setInterval(() => this.raw(frames.emptiness()), 2000)
    this.raw(frames.emptiness())
    try {
      await this.until(() => ids.every((id) => this.records.has(id)), 20_000, 'the records')
    } finally {
      clearInterval(asking)
    }
  }

  raw(bytes) {
    if (!this.closed) this.socket.write(bytes)
  }

  /** Says `make()` over and over, as fast as the other side takes it; returns how to stop. */
  flood(make) {
    let isOver = false
    let said = 0
    const go = () => {
      for (let n = 0; n < 64 && !isOver && !this.closed; n++) {
        said++
        if (!this.socket.write(make(said))) return this.socket.once('drain', go)
      }
      if (!isOver && !this.closed) setImmediate(go)
    }
    go()
    return () => {
      isOver = true
      return said
    }
  }

  destroy() {
    this.socket.destroy()
  }
}

module.exports = { NativePeer, frames, record }
