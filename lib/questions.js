'use strict'

/** What was asked of one node. */
class Question {
  /** Forgets its time and its signal. */
  forget = undefined
  #end
  #resolve
  #reject

  constructor(end, resolve, reject) {
    this.#end = end
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Whether the node's answer is waited for; questions are looked up by the node. */
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

/** What was asked of several nodes. */
class Poll {
  /** Forgets its time and its signal. */
  forget = undefined
  /** Who has not answered yet. */
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

  /** Whoever has not answered by now is missing. */
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
