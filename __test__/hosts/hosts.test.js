'use strict'

// Twenty processes on twenty hosts. `npm run bench:hosts` plays the same and prints how long it took.

const { describe, test } = require('node:test')
const { seedOf } = require('../support/flock')
const { unavailable } = require('../support/namespaces')
const { NETWORKS, play } = require('./scenario')

const names = {
  native:
    'twenty nodes join, are cut in two, are mended, lose half: all is heard once and in order',
  mixed: 'a network with six legacy nodes stays whole through the same',
}

describe('twenty hosts', { skip: unavailable() ?? false, concurrency: false }, () => {
  for (const [network, name] of Object.entries(names)) {
    test(name, async (t) => {
      await play(NETWORKS[network], { seed: seedOf(t), say: (text) => t.diagnostic(text) })
    })
  }
})
