'use strict'

const { EventEmitter } = require('node:events')
const { add, remove, update } = require('./symbols')

/** The nodes in the network, including this one: a read-only map from ids to members. */
class Members extends EventEmitter {
  #members = new Map()

  get size() {
    return this.#members.size
  }

  has(id) {
    return this.#members.has(id)
  }

  get(id) {
    return this.#members.get(id)
  }

  keys() {
    return this.#members.keys()
  }

  values() {
    return this.#members.values()
  }

  entries() {
    return this.#members.entries()
  }

  forEach(callback, thisArg) {
    for (const [id, member] of this.#members) Reflect.apply(callback, thisArg, [member, id, this])
  }

  [Symbol.iterator]() {
    return this.#members.entries()
  }

  /** No event reports this node to itself. */
  [add](member) {
    this.#members.set(member.id, member)
    if (!member.self) this.emit('join', member)
  }

  [update](member) {
    this.#members.set(member.id, member)
    if (!member.self) this.emit('update', member)
  }

  [remove](id) {
    const member = this.#members.get(id)
    if (!this.#members.delete(id) || member.self) return
    this.emit('leave', member)
  }
}

module.exports = { Members }
