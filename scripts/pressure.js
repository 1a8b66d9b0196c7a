'use strict'
// Plays the matrix of slow receivers: every kind of slowness, size and way of sending, with and
// without relays. Random cells until the time is up; a SEED repeats a run.
//
//   npm run pressure -- --minutes 60

const { parseArgs } = require('node:util')
const { Cell, MODES, SIZES, SLOWNESS, isSensible } = require('../__test__/pressure/cell')

/** Numbers from 0 to below 1 that a seed decides: a linear congruential generator. */
function chance(seed) {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string', default: process.env.SEED ?? String(Date.now() % 2 ** 31) },
    },
  })
  const end = Date.now() + Number(values.minutes) * 60_000
  const random = chance(Number(values.seed))
  const pick = (list) => list[Math.floor(random() * list.length)]
  console.log(`SEED=${values.seed}`)
  let failed = 0
  let played = 0
  while (Date.now() < end) {
    const cell = {
      slow: pick(Object.keys(SLOWNESS)),
      mode: pick(MODES),
      size: pick(SIZES),
      receivers: pick([1, 3, 8]),
      relays: pick([0, 2]),
      origins: pick([1, 4]),
    }
    if (!isSensible(cell)) continue
    played++
    const player = new Cell(cell, played)
    const began = Date.now()
    try {
      const { messages, waits, rss, share } = await player.play()
      const seconds = ((Date.now() - began) / 1000).toFixed(1)
      console.log(
        `ok ${player.name}: ${messages} messages, ${waits} waits, ${rss} MiB, ${seconds} s; ` +
          `the others had ${Math.round(100 * share)} % when the slow one had all`,
      )
    } catch (error) {
      failed++
      console.log(`FAILED ${player.name}: ${error.message}`)
    }
  }
  console.log(`${played} cells, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
}

main()
