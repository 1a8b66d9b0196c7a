'use strict'

const { EventEmitter } = require('node:events')
const { Channel } = require('./channel')
const { PeerSocket } = require('./peer-socket')
const { asyncDispose, dispose, ...symbols } = require('./symbols')

const { close, flush, receiveLine, remove, sendLine, setFilter, streamClosed, widen } = symbols

const emitLocally = EventEmitter.prototype.emit

/** A neighbour in the network, and the channel to it alone. */
class Peer extends Channel {
  #crossing
  #handle

  /** `max`: the largest message the peer accepts, if known. */
  constructor(node, crossing, handle, { id, address, port, max, onLost }) {
    const maxMessageSize = Math.min(node.options.maxMessageSize, max ?? Infinity)
    const localEvents = ['close', 'end']
    super(crossing, handle, { maxMessageSize, allowHalfOpen: false, localEvents, onLost })
    this.#crossing = crossing
    this.#handle = handle
    this.node = node
    this.id = id
    this.remoteAddress = address
    this.remotePort = port
    this.closed = false
    this.socket = new PeerSocket(this, {
      send: (text) => this[sendLine](text),
      listen: () => this[widen](),
      unlisten: () => crossing.narrow(handle),
    })
  }

  /** Ends the connection. */
  close() {
    if (this.closed) return
    this[flush]()
    this.#crossing.native.closePeer(this.#handle)
    this.#crossing.run(() => this.node.peers[remove](this))
  }

  [asyncDispose]() {
    this.close()
    return Promise.resolve()
  }

  [dispose]() {
    this.close()
  }

  /** Emits the events of a connection that has ended. */
  [close]() {
    const followUps = super[close](true)
    this.#crossing.detach(this.#handle)
    return [
      ...followUps,
      () => emitLocally.call(this, 'close'),
      () => emitLocally.call(this, 'end'),
      () => this.socket.emit('close'),
    ]
  }

  /** Like a socket's, a destroyed stream closes its connection. */
  [streamClosed]() {
    this.close()
  }

  [receiveLine](line) {
    this.socket.receive(line)
  }

  [setFilter](native) {
    super[setFilter](native, this.socket.isListening)
  }
}

module.exports = { Peer }
