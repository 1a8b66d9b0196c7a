'use strict'

// A sender that waits for 'drain' loses nothing to a slow receiver. These are some cells of the
// matrix; scripts/pressure.js runs all of them.

const { describe, test } = require('node:test')
const { unavailable } = require('../support/namespaces')
const { Cell, SLOWNESS } = require('./cell')

const noNamespaces = unavailable()

describe('a sender that waits loses nothing to a receiver that is slow by', () => {
  for (const cell of [
    { slow: 'none', size: 10, receivers: 3, origins: 4 },
    { slow: 'handler 0.1 ms', size: 10, receivers: 3 },
    { slow: 'handler 2 ms', size: 100, receivers: 3, relays: 2 },
    { slow: 'handler 50 ms', size: 10, origins: 4 },
    { slow: 'handler 2 ms', mode: 'direct' },
    { slow: 'handler 2 ms', mode: 'buffer', size: 65_536, relays: 2, origins: 4 },
    { slow: 'handler 50 ms', mode: 'buffer', size: 1 << 20 },
    { slow: 'paused stream', mode: 'write', size: 65_536, relays: 2 },
    { slow: 'slow writable', mode: 'write', size: 65_536, receivers: 3 },
    { slow: 'slow writable', mode: 'write', size: 10, receivers: 1 },
    { slow: 'blocked 0.1 s', size: 1000, receivers: 3 },
    { slow: 'blocked 5 s', size: 65_536, relays: 2 },
    { slow: 'stopped 1 s', size: 1000, receivers: 3 },
    { slow: 'stopped 5 s', size: 65_536, relays: 2, origins: 4 },
    { slow: '1 Mbit/s', size: 1000, receivers: 3 },
    { slow: '1 Mbit/s', size: 10, mode: 'write', receivers: 8, origins: 4 },
    { slow: '200 ms, 2 % loss', size: 1000, receivers: 3, seconds: 10 },
    { slow: '200 ms, 2 % loss', mode: 'write', size: 65_536, relays: 2, seconds: 10 },
  ]) {
    const player = new Cell(cell)
    const skip = (SLOWNESS[cell.slow].kind === 'link' && noNamespaces) || false
    test(player.name, { skip }, async (t) => {
      const { messages, waits, rss, share } = await player.play()
      t.diagnostic(`${messages} messages, ${waits} waits, ${rss} MiB, ${share} at the others`)
    })
  }
})
