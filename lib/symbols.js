'use strict'

// What the classes of this package do for each other, out of an application's way: on a channel
// any name may be an event, and on a peer list any may be an application's own.
module.exports = Object.fromEntries(
  [
    ...['add', 'remove', 'open', 'close', 'flush', 'drained', 'sendLine', 'setFilter', 'widen'],
    ...['finish', 'lose', 'lost'],
    ...['receive', 'receiveOne', 'receiveChunk', 'receiveLine'],
  ].map((name) => [name, Symbol(name)]),
)
