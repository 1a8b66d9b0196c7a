'use strict'

/** Which nodes handle which requests. */
class Providers {
  // By name: the ids, and the index of the next one in turn.
  #byName = new Map()

  /** The node `id` handled `before`, and now handles `names`. */
  update(id, before, names) {
    for (const name of before) if (!names.includes(name)) this.#remove(id, name)
    for (const name of names) if (!before.includes(name)) this.#add(id, name)
  }

  /** The next node in turn that handles `name` and is not among `tried`. */
  next(name, tried) {
    const found = this.#byName.get(name)
    if (found === undefined) return undefined
    const { ids } = found
    for (let step = 0; step < ids.length; step++) {
      const id = ids[found.turn++ % ids.length]
      if (!tried.includes(id)) return id
    }
    return undefined
  }

  #add(id, name) {
    const found = this.#byName.get(name)
    if (found === undefined) this.#byName.set(name, { ids: [id], turn: 0 })
    else found.ids.push(id)
  }

  #remove(id, name) {
    const { ids } = this.#byName.get(name)
    ids.splice(ids.indexOf(id), 1)
    if (ids.length === 0) this.#byName.delete(name)
  }
}

module.exports = { Providers }
