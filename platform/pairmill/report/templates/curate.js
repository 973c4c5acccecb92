// Searches the samples, opens the heat maps' cells, moves thresholds over their curves. All it knows it reads from the
// page's own tables, and all it writes is text and attributes: nothing that a row holds becomes markup or code.
(() => {
  'use strict';
  const all = (css, within = document) => [...within.querySelectorAll(css)];
  const one = (css, within = document) => within.querySelector(css);
  const number = text => parseInt(text.replace(/[^0-9]/g, ''), 10) || 0;
  const plain = text => text.normalize('NFKC').toLowerCase();

  // Samples: a row is shown where its text holds the words and its reason, source and language pair are the chosen ones.
  const find = one('#find');
  const show = find && (() => {
    const [text, reason, source, pair] = all('input, select', find);
    const told = one('output', find), groups = all('#samples details.samples');
    const rows = groups.map(group => all('ol > li', group));
    const texts = new Map();
    const textOf = row => texts.get(row) ?? (texts.set(row, plain(row.textContent)), texts.get(row));
    const chosen = (select, value) => !select.value || select.value === value;
    const mark = words => {
      if (!CSS.highlights) return;
      CSS.highlights.delete('found');
      if (!words) return;
      const ranges = [];
      for (const row of all('#samples details.samples li:not([hidden])')) {
        const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
          const within = walker.currentNode.data.toLowerCase();
          for (let at = within.indexOf(words); at >= 0 && at + words.length <= walker.currentNode.data.length; at = within.indexOf(words, at + words.length)) {
            const range = new Range();
            range.setStart(walker.currentNode, at);
            range.setEnd(walker.currentNode, at + words.length);
            ranges.push(range);
          }
        }
      }
      CSS.highlights.set('found', new Highlight(...ranges));
    };
    const apply = () => {
      const words = plain(text.value.trim()), filtered = [text, reason, source, pair].some(part => part.value);
      let found = 0, of = 0;
      groups.forEach((group, at) => {
        let here = 0;
        for (const row of rows[at]) {
          const fits = chosen(reason, group.dataset.reason) && chosen(source, row.dataset.source) &&
            chosen(pair, row.dataset.pair) && (!words || textOf(row).includes(words));
          row.hidden = !fits;
          here += fits;
        }
        group.hidden = !here;
        group.open = filtered && here > 0;
        found += here;
        of += rows[at].length;
      });
      told.textContent = filtered ? `${found} of ${of} samples fit.` : `${of} samples.`;
      if (filtered && !found) told.textContent += ' The samples are a few rows of each reason: pairmill explore searches all rows.';
      mark(words);
    };
    let waiting = 0;
    find.addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(apply, 120); });
    const set = wanted => {
      text.value = '';
      for (const [select, value] of [[reason, wanted.reason], [source, wanted.source], [pair, wanted.pair]]) {
        select.value = value ?? '';
        if (value && select.value !== value) select.add(new Option(value, value, true, true));
      }
      apply();
    };
    one('button', find).addEventListener('click', () => { set({}); text.focus(); });
    find.hidden = false;
    set({});
    return set;
  })();
  document.addEventListener('click', event => {
    const link = event.target.closest('a[href^="#sample-"]');
    if (link && show) {
      show({});
      one(link.getAttribute('href')).closest('details').open = true;
    }
  });

  // Heat maps: arrows move from cell to cell; a click or Enter opens what the cell counts.
  const sort = (table, reason) => {
    const heads = all('thead th', table), at = heads.findIndex(head => head.dataset.reason === reason);
    if (!reason || at < 0) return;
    const body = table.tBodies[0], rows = all('tr[data-pair]', body);
    const size = row => number(row.cells[at].firstChild.data);
    rows.sort((one, other) => size(other) - size(one));
    body.prepend(...rows);
    heads.forEach((head, place) => place === at ? head.setAttribute('aria-sort', 'descending') : head.removeAttribute('aria-sort'));
  };
  const drill = cell => {
    const row = cell.parentElement, table = cell.closest('table');
    const head = table.tHead.rows[0].cells[cell.cellIndex], map = table.tHead.dataset.map;
    if (map === 'inputs' && head.dataset.part) {
      const part = document.getElementById(head.dataset.part), goal = part && one('table', part);
      if (!goal) return;
      if (part.closest('details')) part.closest('details').open = true;
      sort(goal, row.dataset.reason);
      one('tbody td[tabindex]', goal).focus({preventScroll: true});
      part.scrollIntoView({block: 'center'});
    } else if (map === 'pairs' && head.dataset.reason && row.dataset.pair && show) {
      show({reason: head.dataset.reason, source: table.tHead.dataset.source, pair: row.dataset.pair});
      one('#samples').scrollIntoView();
      one('input', find).focus({preventScroll: true});
    }
  };
  for (const table of all('.heat table')) {
    const body = table.tBodies[0];
    table.setAttribute('role', 'grid');
    all('td', body).forEach((cell, at) => { cell.tabIndex = at ? -1 : 0; });
    body.addEventListener('focusin', event => {
      const cell = event.target.closest('td');
      if (!cell) return;
      all('td[tabindex="0"]', body).forEach(other => { other.tabIndex = -1; });
      cell.tabIndex = 0;
    });
    body.addEventListener('click', event => {
      const cell = event.target.closest('td');
      if (cell) drill(cell);
    });
    body.addEventListener('keydown', event => {
      const cell = event.target.closest('td');
      if (!cell) return;
      const rows = [...body.rows], down = rows.indexOf(cell.parentElement);
      const to = (row, column) => row && row.cells[Math.min(Math.max(column, 1), row.cells.length - 1)];
      const goal = {
        ArrowLeft: () => to(cell.parentElement, cell.cellIndex - 1), ArrowRight: () => to(cell.parentElement, cell.cellIndex + 1),
        ArrowUp: () => to(rows[down - 1], cell.cellIndex), ArrowDown: () => to(rows[down + 1], cell.cellIndex),
        Home: () => to(cell.parentElement, 1), End: () => to(cell.parentElement, cell.parentElement.cells.length),
      }[event.key];
      if (goal) {
        event.preventDefault();
        goal()?.focus();
      } else if (event.key === 'Enter' || event.key === ' ') {
        event.preventDefault();
        drill(cell);
      }
    });
  }

  // Thresholds: the slider walks over the rows of the curve's table.
  for (const part of all('.movable')) {
    const card = part.closest('.card'), place = all('.movable', card).indexOf(part);
    const marks = all('.area', card).map(area => all('.moved', area)[place]).filter(Boolean);
    const rows = all('tbody tr', part), heads = all('thead th', part).slice(4).map(head => head.textContent);
    const now = rows.findIndex(row => row.classList.contains('now'));
    const slider = one('input', part), told = one('output', part), dot = one('.here', part);
    const counts = row => [...row.cells].slice(4).map(cell => number(cell.textContent));
    const move = () => {
      const at = Number(slider.value), row = rows[at], [threshold, kept, change, share] = [...row.cells].map(cell => cell.textContent);
      const before = counts(rows[now]);
      const moved = counts(row).map((count, place) => [heads[place], count - before[place]])
        .filter(([, by]) => by).sort((one, other) => Math.abs(other[1]) - Math.abs(one[1])).slice(0, 5)
        .map(([name, by]) => `${name} ${by > 0 ? '+' : '−'}${Math.abs(by).toLocaleString('en')}`);
      const where = at === now ? `${threshold.replace(/ now$/, '')}, as it is` : threshold;
      told.textContent = `${where}: ${kept} rows kept, ${share} of rows in` + (at === now ? '.' : ` (${change}).`) +
        (moved.length ? ` Most changed: ${moved.join(', ')}.` : '');
      slider.setAttribute('aria-valuetext', `${where}: ${kept} rows kept`);
      dot.style.left = `${row.dataset.x}%`;
      dot.style.bottom = `${row.dataset.y}%`;
      dot.hidden = at === now;
      marks.forEach(mark => { mark.style.left = `${mark.dataset.at.split(' ')[at]}%`; mark.hidden = at === now; });
      rows.forEach(other => other.classList.toggle('chosen', other === row && at !== now));
    };
    slider.addEventListener('input', move);
    one('button', part).addEventListener('click', () => { slider.value = now; move(); });
    one('.whatif', part).hidden = false;
    move();
  }
})();
