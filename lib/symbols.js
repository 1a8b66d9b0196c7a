'use strict'

// Internal members that the classes of this package use on each other. Symbols, so that they never
// clash with the names that an application uses.
const own = Object.fromEntries(
  [
    ...['add', 'remove', 'open', 'close', 'flush', 'drained', 'sendLine', 'setFilter', 'widen'],
    ...['finish', 'lose', 'update', 'ask', 'wait', 'takeRequests'],
    ...['receive', 'receiveChunk', 'receiveLine', 'streamClosed', 'halves'],
  ].map((name) => [name, Symbol(name)]),
)

// Early releases of Node.js 20 lack these.
const { asyncDispose = Symbol('asyncDispose'), dispose = Symbol('dispose') } = Symbol

module.exports = { ...own, asyncDispose, dispose }
