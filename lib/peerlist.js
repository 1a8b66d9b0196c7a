'use strict'

const { EventEmitter } = require('node:events')
const { nextTick } = require('./globals')
const symbols = require('./symbols')

/** A node's peers. */
class Peerlist extends EventEmitter {
  #node
  #onChange

  /** `onChange(event, peer)` returns functions to call before 'add' or 'remove' is emitted. */
  constructor(node, onChange) {
    super()
    this.#node = node
    this.#onChange = onChange
    this.list = []
  }

  get node() {
    return this.#node
  }

  /** The peer if it is in the list, else false. `peer` may also be an id. */
  inList(peer) {
    const id = typeof peer === 'object' && peer !== null ? peer.id : peer
    return this.list.find((other) => other.id === id) ?? false
  }

  /** Whether the node accepts no more peers. */
  isFull() {
    return this.list.length >= this.#node.options.maxPeerNo
  }

  /** Whether the node seeks no more peers. */
  isSufficientlyFilled() {
    return this.list.length >= this.#node.options.minPeerNo
  }

  /** The ids of all peers. */
  dump() {
    return this.list.map((peer) => peer.id)
  }

  /** Closes all peers. */
  close() {
    callAll(this.list.map((peer) => () => peer.close()))
    return this
  }

  [symbols.add](peer) {
    // A new array each time, so that a loop over the old one may close peers.
    this.list = [...this.list, peer]
    const before = this.#onChange('add', peer)
    // A listener may have closed and removed the peer meanwhile.
    callAll([...before, () => peer.closed || this.emit('add', peer)])
  }

  [symbols.remove](peer) {
    if (!this.list.includes(peer)) return
    this.list = this.list.filter((other) => other !== peer)
    peer.closed = true
    const before = this.#onChange('remove', peer)
    callAll([...before, () => this.emit('remove', peer), ...peer[symbols.close]()])
  }
}

/**
 * Calls all functions, even if some throw. Throws the first error after the last call; any other
 * error becomes an uncaught exception.
 */
function callAll(functions) {
  let isFailed = false
  let failure
  for (const call of functions) {
    try {
      call()
    } catch (error) {
      if (isFailed) nextTick(rethrow, error)
      else [isFailed, failure] = [true, error]
    }
  }
  if (isFailed) throw failure
}

function rethrow(error) {
  throw error
}

module.exports = { Peerlist, callAll }
