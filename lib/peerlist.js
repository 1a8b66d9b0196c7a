'use strict'

const { EventEmitter } = require('node:events')
const { nextTick } = require('./globals')
const symbols = require('./symbols')

/** A node's peers. */
class Peerlist extends EventEmitter {
  #node
  #onChange

  /** `onChange(event, peer)` returns what is to be called before 'add' or 'remove' is emitted. */
  constructor(node, onChange) {
    super()
    this.#node = node
    this.#onChange = onChange
    this.list = []
  }

  get node() {
    return this.#node
  }

  /** The peer, if it is in the list (`peer` may also be an id); otherwise false. */
  inList(peer) {
    const id = typeof peer === 'object' && peer !== null ? peer.id : peer
    return this.list.find((other) => other.id === id) ?? false
  }

  /** Whether no more peers are accepted. */
  isFull() {
    return this.list.length >= this.#node.options.maxPeerNo
  }

  /** Whether no more peers are sought. */
  isSufficientlyFilled() {
    return this.list.length >= this.#node.options.minPeerNo
  }

  /** The ids of all peers. */
  dump() {
    return this.list.map((peer) => peer.id)
  }

  /** Ends the connections to all peers. */
  close() {
    callAll(this.list.map((peer) => () => peer.close()))
    return this
  }

  [symbols.add](peer) {
    // Another array each time: whoever loops over one may close peers.
    this.list = [...this.list, peer]
    const before = this.#onChange('add', peer)
    // One that a listener has closed meanwhile was removed already.
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
 * Calls all functions, whatever they throw. The first error is thrown once all were called, any
 * other one surfaces as an uncaught exception of its own.
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
