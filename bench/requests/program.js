'use strict'

// One process of the benchmark of requests: `node program.js <role> <system> <settings as JSON>`.

const { performance } = require('node:perf_hooks')
const systems = require('./systems')

const [role, name, settings] = process.argv.slice(2)
const MESSAGE = {
  id: 12345,
  user: 'anna',
  text: 'x'.repeat(40),
  at: 1700000000000,
  tags: ['a', 'b'],
}
/** What is done before anything is counted. */
const WARM_UP = 500

const main = async () => {
  const given = JSON.parse(settings)
  const ask = await systems[name][role](given)
  process.send({ ready: true })
  if (role !== 'ask') return
  process.on('message', async ({ inFlight, seconds }) => {
    try {
      process.send(await measure(ask, inFlight, seconds * 1000))
    } catch (error) {
      process.send({ error: String(error) })
    }
  })
}

/** Keeps so many requests under way, for so long. */
async function measure(ask, inFlight, ms) {
  for (let n = 0; n < WARM_UP; n++) await ask(MESSAGE)
  const times = []
  const began = performance.now()
  const end = began + ms
  const lane = async () => {
    for (let now = performance.now(); now < end; ) {
      const answer = await ask(MESSAGE)
      if (answer?.id !== MESSAGE.id) throw new Error('another answer')
      const then = performance.now()
      times.push(then - now)
      now = then
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  const took = performance.now() - began
  times.sort((a, b) => a - b)
  const at = (share) => times[Math.floor(times.length * share)] * 1000
  return { perSecond: (times.length / took) * 1000, p50: at(0.5), p99: at(0.99) }
}

main().catch((error) => {
  process.send({ error: error.stack })
})
