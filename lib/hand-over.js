'use strict'

const { clearTimeout, setTimeout } = require('./globals')
const { finish } = require('./symbols')

/** How long a stopping node waits for room to hand over earlier messages, in ms. */
const DEADLINE = 30_000

/** Calls `done` when all channels have sent their messages, or at the deadline. */
function handOver(channels, done) {
  let left = channels.length
  let deadline
  const proceed = () => {
    clearTimeout(deadline)
    if (left !== Infinity) done()
    left = Infinity
  }
  for (const channel of channels) channel[finish](() => --left === 0 && proceed())
  if (left > 0 && left !== Infinity) deadline = setTimeout(proceed, DEADLINE)
}

module.exports = { handOver }
