'use strict'

// Eight nodes for as long as is wanted, with everything that happens to a network: nodes that come
// and go, links that are cut, events, streams and large messages. Checks all the while that each
// message comes once and in order, and that memory and descriptors do not grow.
//
//   npm run soak -- --minutes 30 [--seed N]

const { parseArgs } = require('node:util')
const { soak } = require('../__test__/soak/soak')

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
})

soak({ minutes: Number(values.minutes), seed: Number(values.seed), say: console.log }).then(
  (summary) => console.log(JSON.stringify(summary, null, 2)),
  (error) => {
    console.error(error)
    process.exitCode = 1
  },
)
