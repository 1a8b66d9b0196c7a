'use strict'

const { clearInterval, setInterval } = require('./globals')

/** Running nodes. Like a listening server, a running node is never garbage collected. */
const running = new Set()
/** How often a running node checks its options for changes, in ms. */
const LOOK_EVERY = 5000

/** Keeps the process alive while a node runs, unless `unref()` was called. */
class Lifeline {
  #node
  #timer = null
  #isRef = true

  constructor(node) {
    this.#node = node
  }

  /** The node runs. Calls `look` every few seconds. */
  hold(look) {
    running.add(this.#node)
    clearInterval(this.#timer)
    this.#timer = setInterval(look, LOOK_EVERY)
    if (!this.#isRef) this.#timer.unref()
  }

  /** The node has stopped. */
  release() {
    running.delete(this.#node)
    clearInterval(this.#timer)
  }

  ref() {
    this.#isRef = true
    this.#timer?.ref()
  }

  unref() {
    this.#isRef = false
    this.#timer?.unref()
  }
}

module.exports = { Lifeline }
