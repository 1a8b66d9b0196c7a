'use strict'

/** A request to one node. */
class Question {
  /** Cancels its timeout and its abort listener. */
  forget = undefined
  #end
  #resolve
  #reject

  constructor(end, resolve, reject) {
    this.#end = end
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Whether it waits for the node's answer. Questions are looked up by node, so always. */
  isOpenTo() {
    return true
  }

  answered(_, value) {
    this.finish()
    this.#resolve(value)
  }

  failed(_, error) {
    this.reject(error)
  }

  reject(error) {
    this.finish()
    this.#reject(error)
  }

  finish() {
    this.forget()
    this.#end()
  }
}

/** A request to several nodes. */
class Poll {
  /** Cancels its timeout and its abort listener. */
  forget = undefined
  /** Nodes that have not answered yet. */
  expected
  #replies = new Map()
  #errors
  #end
  #resolve
  #reject

  constructor(ids, errors, end, resolve, reject) {
    this.#errors = errors
    this.expected = new Set(ids)
    this.#end = end
    this.#resolve = resolve
    this.#reject = reject
  }

  isOpenTo(id) {
    return this.expected.has(id)
  }

  answered(id, value) {
    this.expected.delete(id)
    this.#replies.set(id, value)
    if (this.expected.size === 0) this.finish()
  }

  failed(id, error) {
    if (!this.expected.delete(id)) return
    this.#errors.set(id, error)
    if (this.expected.size === 0) this.finish()
  }

  /** Resolves. Nodes without an answer count as missing. */
  finish() {
    this.#close()
    const missing = [...this.#errors.keys(), ...this.expected]
    this.#resolve({ replies: this.#replies, missing, errors: this.#errors })
  }

  reject(error) {
    this.#close()
    this.#reject(error)
  }

  #close() {
    this.forget()
    this.#end()
  }
}

module.exports = { Poll, Question }
