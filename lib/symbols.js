'use strict'

// Internal members that the classes of this package use on each other. Symbols never clash with an
// application's names.
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
