'use strict'

// What the classes of this package do for each other, out of an application's way: on a channel
// any name may be an event, and on a peer list any may be an application's own.
const own = Object.fromEntries(
  [
    ...['add', 'remove', 'open', 'close', 'flush', 'drained', 'sendLine', 'setFilter', 'widen'],
    ...['finish', 'lose'],
    ...['receive', 'receiveOne', 'receiveChunk', 'receiveLine', 'streamClosed', 'halves'],
  ].map((name) => [name, Symbol(name)]),
)

// Early releases of Node.js 20 do not have these.
const { asyncDispose = Symbol('asyncDispose'), dispose = Symbol('dispose') } = Symbol

module.exports = { ...own, asyncDispose, dispose }
