'use strict'

const { callAll } = require('./peerlist')
const { lose } = require('./symbols')

/** Reports messages and chunks that did not reach their handlers and readers. */
class Losses {
  #node
  #crossing
  // Chunks counted only here; the core counts all others.
  #chunks = 0

  constructor(node, crossing) {
    this.#node = node
    this.#crossing = crossing
  }

  /** Chunks dropped since the node's start because a reader paused. */
  get chunks() {
    return this.#chunks
  }

  begin() {
    this.#chunks = 0
  }

  /** The queue to JavaScript overflowed. */
  dropped({ count, chunks }) {
    this.#node.logger.warn(`${count} messages were dropped: handlers are too slow`)
    const reason = 'handlers or readers were too slow'
    callAll([
      ...chunks.map(([handle, bytes]) => () => {
        this.#crossing.channel(handle)?.[lose](`${bytes} bytes`, reason, bytes)
      }),
      () => this.#node.emit('lost', { count }),
    ])
  }

  /** Broadcasts were lost; the core has logged it. `chunks`: some may be chunks of the stream. */
  skipped({ id, count, chunks }) {
    const what = `up to ${count} chunks of node ${id}`
    callAll([
      () => chunks && this.#node.broadcast[lose](what, 'no node had them any more'),
      () => this.#node.emit('skipped', { id, count }),
    ])
  }

  /** A chunk was dropped because its reader paused, and the stream has no 'error' listener. */
  chunkDropped(bytes) {
    this.#chunks++
    const { logger } = this.#node
    logger.warn(`${bytes} bytes of a stream were dropped: its reader has paused for too long`)
    this.#node.emit('lost', { count: 1 })
  }
}

module.exports = { Losses }
