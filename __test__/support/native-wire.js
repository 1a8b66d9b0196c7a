'use strict'

// The native protocol by hand, for programs that do with it what no node would. The layouts are in
// src/proto/codec/native.rs.

const net = require('node:net')
const { Watched } = require('./wait')

const PUBLISH = 0x01
const IHAVE = 0x02
const GRAFT = 0x03
const GONE = 0x04
const HEARTBEAT = 0x10
const DIRECT = 0x20

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
  direct: (texts) => frame(DIRECT, payload(texts)),
}

/** A peer of a node that speaks frames. Keeps who it heard broadcasts of, and the last frames. */
class NativePeer extends Watched {
  static async join(port, id, { host = '127.0.0.1', reads = true } = {}) {
    const peer = new NativePeer(net.connect({ port, host }))
    peer.id = id
    const smoke2 = { v: 1, address: '127.0.0.1', port: 9, epoch: '0'.repeat(16) }
    const hello = { id, smoke2 }
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

module.exports = { NativePeer, frames }
