// Draws the charts of the page from its data. Text of strangers reaches the document as text (textContent, or a canvas),
// never as markup. Nothing is asked of any host: the policy of the page forbids it.
"use strict";
(() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const KIB = 1024;
  root.classList.add("js");

  // ---- figures ----------------------------------------------------------------------------------------

  // Columns are changes from one figure to the next; null is not known.
  const unpacked = (column) => {
    let sum = 0;
    return column.map((change) => (change === null ? null : (sum += change)));
  };

  // As format_size of zonerss.units: half up, three digits at the most, so that a page reads as the terminal does.
  const UNITS = [["K", 0], ["M", 10], ["G", 100], ["T", 100], ["P", 100], ["E", 100]];
  const size = (kib) => {
    if (kib === null || kib === undefined || Number.isNaN(kib)) return "–";
    if (kib < 0) return "-" + size(-kib);
    let whole = kib;
    for (const [unit, below] of UNITS) {
      const tenths = Math.floor(10 * whole + 0.5);
      if (tenths < 10 * below) return `${Math.floor(tenths / 10)}.${tenths % 10}${unit}`;
      const rounded = Math.floor(whole + 0.5);
      if (rounded < 1024 || unit === "E") return rounded + unit;
      whole /= 1024;
    }
  };

  // Times are shown as the tables have them, by the clock of who made the page, which may be put on or back meanwhile.
  const times = unpacked(data.times).map((second) => 1000 * second);
  const offsetAt = (ms) => {
    const later = data.offsets.findIndex(([from]) => 1000 * from > ms);
    return data.offsets.at(later < 0 ? -1 : Math.max(later - 1, 0))[1];
  };
  const local = (ms) => new Date(ms + 1000 * offsetAt(ms)).toISOString();
  const clock = (ms) => {
    const minutes = Math.abs(offsetAt(ms)) / 60;
    const two = (number) => String(Math.floor(number)).padStart(2, "0");
    return `${local(ms).slice(0, 19).replace("T", " ")} ${offsetAt(ms) < 0 ? "-" : "+"}${two(minutes / 60)}${two(minutes % 60)}`;
  };

  // The marks of a time axis: whole steps of local time, so many at the most, and what stands below each.
  const MINUTE = 60, HOUR = 3600, DAY = 86400;
  const STEPS = [
    1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 364 * DAY,
  ];
  const marks = (first, last, most) => {
    const step = STEPS.find((seconds) => (last - first) / 1000 / seconds <= most) || STEPS.at(-1);
    const found = [];
    data.offsets.forEach(([from, offset], at) => {
      const begin = at ? 1000 * from : first;
      const end = at + 1 < data.offsets.length ? 1000 * data.offsets[at + 1][0] : last + 1;
      let second = Math.ceil((begin / 1000 + offset) / step) * step - offset;
      for (; 1000 * second < end && 1000 * second <= last; second += step) {
        if (1000 * second >= first) found.push(1000 * second);
      }
    });
    const word = (ms) => {
      const text = local(ms);
      if (step >= DAY || text.slice(11, 19) === "00:00:00") return text.slice(step >= 364 * DAY ? 0 : 5, 10);
      return text.slice(11, step < MINUTE ? 19 : 16);
    };
    return { found, word };
  };

  const shortened = (name, most) => {
    const chars = Array.from(name);
    if (chars.length <= most) return name;
    const tail = Math.floor((most - 1) / 2);
    return chars.slice(0, most - 1 - tail).join("") + "…" + chars.slice(chars.length - tail).join("");
  };

  // ---- what all charts have in common -----------------------------------------------------------------

  const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const font = () => getComputedStyle(document.body).fontFamily;

  const make = (element, text, parent) => {
    const made = document.createElement(element);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };

  // A tooltip of a title and of rows [name, figure]; an element, so that names stay text.
  const tip = (title, rows) => {
    const box = make("div");
    box.className = "tip";
    make("b", title, box);
    const table = make("table", undefined, box);
    for (const [name, figure] of rows) {
      const row = make("tr", undefined, table);
      make("td", name, row).className = "t";
      make("td", figure, row);
    }
    return box;
  };

  const tooltip = (more) => ({
    confine: true,
    backgroundColor: colour("ground"),
    borderColor: colour("line"),
    transitionDuration: 0,
    ...more,
  });

  const common = () => ({
    animation: false,
    textStyle: { fontFamily: font(), color: colour("ink") },
  });

  // ---- over time --------------------------------------------------------------------------------------

  // The numbers of looks with a null where snapshots are missing, so that no line is drawn there.
  // "at" of a zone: the places of its looks among all that are drawn; it did not exist between two that do not adjoin.
  const broken = (looks, at = null) => {
    const found = [];
    looks.forEach((look, place) => {
      found.push({ place, ms: times[look] });
      const next = looks[place + 1];
      const absent = at !== null && at[place + 1] !== at[place] + 1;
      if (next !== undefined && (absent || data.holes.some((hole) => look <= hole && hole < next))) {
        found.push({ place: null, ms: (times[look] + times[next]) / 2 });
      }
    });
    return found;
  };
  const allLooks = times.map((_, number) => number);
  const points = (axis, column) => axis.map(({ place, ms }) => [ms, place === null ? null : column[place]]);

  const holesDrawn = () => ({
    silent: true,
    itemStyle: { color: colour("hole") },
    data: data.holes.map((hole) => [{ xAxis: times[hole] }, { xAxis: times[hole + 1] }]),
  });

  const highest = (column) => column.reduce((most, figure) => Math.max(most, figure), 0);

  const layer = (name, axis, column, tint, stack) => ({
    name, stack, type: "line", data: points(axis, column), symbol: "circle", symbolSize: 3,
    showSymbol: axis.length < 3,
    lineStyle: { width: 1, color: tint }, itemStyle: { color: tint }, areaStyle: { color: tint, opacity: 0.75 },
    emphasis: { disabled: true },
  });

  const line = (name, axis, column, tint, dash) => ({
    name, type: "line", data: points(axis, column), symbol: "none",
    lineStyle: { width: 1.5, color: tint, type: dash }, itemStyle: { color: tint }, emphasis: { disabled: true },
  });

  // How far the top can be from its value at one moment: an invisible line, and a pale layer above it.
  const band = (axis, top, bound) => {
    const low = top.map((figure, at) => (figure === null || bound[at] === null ? null : figure - bound[at]));
    const wide = bound.map((figure) => (figure === null ? null : 2 * figure));
    const part = (name, column, opacity) => ({
      id: "band " + name, name, type: "line", stack: "band", data: points(axis, column), symbol: "none", silent: true,
      lineStyle: { width: 0 }, itemStyle: { color: colour("band") },
      areaStyle: { color: colour("band"), opacity, origin: "start" }, emphasis: { disabled: true }, z: 4,
    });
    return [part("±low", low, 0), part("±", wide, 1)];
  };

  // A step of the size axis: a power of two, so that its marks are whole in K, M and G; four to eight of them.
  const stepOf = (most) => 2 ** Math.max(Math.ceil(Math.log2(Math.max(most, 4) / 8)), 0);

  // The legend's rows are counted by the letters in them, so that the lines begin below it.
  const LETTER = 6.6, MARK = 36, ROW = 20;
  const rowsOf = (labels, width) => {
    let rows = 1, used = 0;
    for (const label of labels) {
      const wide = MARK + LETTER * label.length;
      if (used && used + wide > width) { rows++; used = 0; }
      used += wide;
    }
    return rows;
  };

  const overTime = (series, labels, width, most, tips) => {
    const letters = width < 500 ? 18 : 30;
    const step = stepOf(most);
    const { found, word } = marks(times[0], times.at(-1), width < 500 ? 4 : 8);
    const above = 10 + ROW * rowsOf(labels.map((label) => shortened(label, letters)), width);
    return {
      ...common(),
      legend: {
        top: 0, left: 0, itemWidth: 12, itemHeight: 10, itemGap: 14, padding: 0, icon: "rect",
        textStyle: { color: colour("ink"), fontSize: 11 }, data: labels, formatter: (name) => shortened(name, letters),
      },
      grid: { top: above, left: 48, right: 22, bottom: 24, outerBoundsMode: "none" },
      xAxis: {
        type: "time", min: times[0], max: times[times.length - 1],
        axisLine: { lineStyle: { color: colour("line") } }, axisTick: { lineStyle: { color: colour("line") }, customValues: found },
        axisLabel: {
          color: colour("faint"), hideOverlap: true, fontSize: 11, customValues: found, formatter: word,
        },
      },
      yAxis: {
        type: "value", min: 0, interval: step, max: step * Math.max(Math.ceil(most / step), 1),
        axisLabel: { color: colour("faint"), formatter: size, fontSize: 11 },
        splitLine: { lineStyle: { color: colour("line"), opacity: 0.6 } },
      },
      useUTC: true,
      tooltip: tooltip({
        trigger: "axis",
        axisPointer: { type: "line", lineStyle: { color: colour("faint") }, animation: false },
        formatter: (hovered) => {
          const rows = tips(hovered.filter((one) => one.value[1] !== null && one.seriesId !== "band ±low"));
          return tip(clock(hovered[0].value[0]), rows);
        },
      }),
      series,
    };
  };

  const KINDS = ["anon", "file", "shmem", "hugetlb"];

  // Columns of kinds, swap, charged and uncertainty over some looks.
  const byKind = (columns, looks, width, at = null) => {
    const axis = broken(looks, at);
    const there = KINDS.filter((kind) => kind in columns).map((kind) => [kind, unpacked(columns[kind])]);
    const series = there.map(([kind, column]) => layer(kind, axis, column, colour(kind), "kinds"));
    const labels = there.map(([kind]) => kind);
    const counted = there.filter(([kind]) => kind !== "hugetlb");
    const rss = looks.map((_, at) => counted.reduce((sum, [, column]) => sum + column[at], 0));
    for (const [name, dash] of [["swap", "dotted"], ["charged", "dashed"]]) {
      if (name in columns) {
        series.push(line(name, axis, unpacked(columns[name]), colour(name), dash));
        labels.push(name);
      }
    }
    const bounds = "uncertainty" in columns ? unpacked(columns.uncertainty) : [];
    if (bounds.length) {
      series.push(...band(axis, rss, bounds));
      labels.push("±");
    }
    const stacked = looks.map((_, at) => there.reduce((sum, [, column]) => sum + column[at], 0));
    const others = ["swap", "charged"].filter((name) => name in columns).flatMap((name) => unpacked(columns[name]));
    const most = highest([...stacked, ...others, ...bounds.map((bound, at) => bound + rss[at])]);
    if (series.length) series[0].markArea = holesDrawn();
    const tips = (hovered) => {
      const shown = hovered.map((one) => [one.seriesName, one.value[1] / (one.seriesName === "±" ? 2 : 1)]);
      const sum = shown.filter(([name]) => KINDS.includes(name) && name !== "hugetlb").reduce((a, b) => a + b[1], 0);
      return [["RSS", size(sum)], ...shown.map(([name, kib]) => [name, size(kib)])];
    };
    return overTime(series, labels, width, most, tips);
  };

  const charts = {
    kinds: (width) => byKind(data.machine, allLooks, width),

    layers: (width) => {
      const axis = broken(allLooks);
      const names = data.layers.map(({ name }) => name);
      // names are unique among zones, but a zone may be called as the rest is
      const labels = names.map((name, at) => (names.indexOf(name) < at ? name + "\u200b" : name));
      const columns = data.layers.map(({ bytes }) => unpacked(bytes));
      const series = data.layers.map((one, at) =>
        layer(labels[at], axis, columns[at], colour("zone-" + one.colour), "zones"));
      const most = highest(times.map((_, at) => columns.reduce((sum, column) => sum + column[at], 0)));
      if (series.length) series[0].markArea = holesDrawn();
      const tips = (hovered) => {
        const sum = hovered.reduce((total, one) => total + one.value[1], 0);
        const rows = hovered.map((one) => [one.seriesName, one.value[1]]).sort((a, b) => b[1] - a[1]);
        return [["all zones", size(sum)], ...rows.map(([name, kib]) => [shortened(name, 36), size(kib)])];
      };
      return overTime(series, labels, width, most, tips);
    },

    zone: (width, number) => {
      const zone = data.zones[number];
      const looks = unpacked(data.zone_looks);
      if (!("at" in zone)) return byKind(zone, looks, width);
      const at = unpacked(zone.at);
      return byKind(zone, at.map((place) => looks[place]), width, at);
    },

    // ---- the last snapshot ----------------------------------------------------------------------------

    treemap: () => {
      const total = data.treemap.reduce((sum, [, anon, file, shmem]) => sum + anon + file + shmem, 0);
      const nodes = data.treemap.map(([name, ...sizes]) => ({
        name,
        value: sizes.reduce((a, b) => a + b, 0),
        children: sizes.map((kib, at) => ({ name: KINDS[at], value: kib, itemStyle: { color: colour(KINDS[at]) } }))
          .filter((kind) => kind.value > 0),
      }));
      return {
        ...common(),
        tooltip: tooltip({
          formatter: ({ treePathInfo, value }) => {
            const path = treePathInfo.slice(1).map((step) => step.name);
            const share = total ? (100 * value / total).toFixed(1) + "%" : "–";
            return tip(path[0] || "all zones", [[path[1] || "share", size(value)], ["of all zones", share]]);
          },
        }),
        series: [{
          type: "treemap", data: nodes, top: 4, bottom: 4, left: 0, right: 0, roam: false, nodeClick: false,
          breadcrumb: { show: false }, visibleMin: 30,
          label: { fontSize: 11, color: colour("on-kind"), formatter: ({ name, value }) => `${name} ${size(value)}`, overflow: "truncate" },
          upperLabel: {
            show: true, height: 18, fontSize: 11, color: colour("ink"), overflow: "truncate",
            formatter: ({ name, value }) => `${name} ${size(value)}`,
          },
          itemStyle: { borderColor: colour("ground"), gapWidth: 1 },
          levels: [
            { itemStyle: { borderWidth: 0, gapWidth: 2 }, upperLabel: { show: false } },
            { itemStyle: { borderColor: colour("row"), borderWidth: 2, gapWidth: 1 } },
          ],
        }],
      };
    },

    heat: (width) => {
      const { zones, pairs } = data.heat;
      const most = pairs.reduce((high, pair) => Math.max(high, pair[2]), 0);
      const cells = pairs.flatMap(([one, other, kib]) => [[one, other, kib], [other, one, kib]]);
      const room = width < 500 ? 92 : 170;
      const axis = (more) => ({
        type: "category", data: zones, splitArea: { show: false }, axisTick: { show: false },
        axisLine: { lineStyle: { color: colour("line") } }, ...more,
      });
      const label = { color: colour("ink"), fontSize: width < 500 ? 9 : 11, interval: 0,
        width: room - 14, overflow: "truncate", formatter: (name) => shortened(name, width < 500 ? 15 : 24) };
      return {
        ...common(),
        grid: { top: 8, left: room, right: 10, bottom: room - 20 + 44, outerBoundsMode: "none" },
        xAxis: axis({ axisLabel: { ...label, rotate: 90 } }),
        yAxis: axis({ axisLabel: label, inverse: true }),
        visualMap: {
          min: 0, max: Math.max(most, 1), calculable: false, orient: "horizontal", left: "center", bottom: 0,
          itemWidth: 12, itemHeight: 160, text: [size(most), "0K"], textStyle: { color: colour("ink") },
          inRange: { color: [colour("cold"), colour("hot")] },
        },
        tooltip: tooltip({
          formatter: ({ value }) => tip(zones[value[0]], [["and " + shortened(zones[value[1]], 36), size(value[2])]]),
        }),
        series: [{
          type: "heatmap", data: cells, progressive: 0,
          itemStyle: { borderWidth: 1, borderColor: colour("ground") },
          emphasis: { itemStyle: { borderColor: colour("ink") } },
        }],
      };
    },
  };

  // ---- drawing ----------------------------------------------------------------------------------------

  // Lines leave out points that are closer together than two pixels of a canvas, and layers then show seams.
  const SHARP = Math.max(2, devicePixelRatio);
  const drawn = new Map();

  const draw = (place) => {
    const width = place.clientWidth;
    if (!width) return;
    if (!drawn.has(place)) drawn.set(place, echarts.init(place, null, { devicePixelRatio: SHARP }));
    const chart = drawn.get(place);
    chart.resize({ silent: true });
    chart.setOption(charts[place.dataset.chart](width, place.dataset.number), { notMerge: true });
  };
  const redraw = () => drawn.forEach((_, place) => draw(place));

  // A chart is drawn when it is about to be seen: a page may have a thousand of them.
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        seen.unobserve(target);
        draw(target);
      }
    }
  }, { rootMargin: "300px" });
  const places = [...document.querySelectorAll("[data-chart]")];
  places.forEach((place) => seen.observe(place));

  let resized;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(redraw, 100);
  });

  // ---- theme, print, filter ---------------------------------------------------------------------------

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const themed = () => {
    button.textContent = isDark() ? "light" : "dark";
    button.setAttribute("aria-label", `show the page ${button.textContent}`);
    redraw();
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    themed();
  });
  dark.addEventListener("change", themed);
  themed();

  // On paper there are pictures of the charts: for light, as wide as a page or, of a zone, half of it.
  const MOST_PRINTED = 60, PAGE = { width: 680, height: 300 }, HALF = { width: 400, height: 220 };
  const HIGH = { treemap: 420, heat: 540 };
  const still = (place) => {
    const what = place.dataset.chart;
    const { width, height } = what === "zone" ? HALF : PAGE;
    const size = { width, height: HIGH[what] || height, devicePixelRatio: SHARP };
    const chart = echarts.init(make("div"), null, { ...size, ssr: true }); // it paints when it is told to
    const option = charts[what](width, place.dataset.number);
    chart.setOption(option);
    chart.setOption(option); // a treemap that is drawn at once has no words the first time
    const picture = chart.renderToCanvas({ pixelRatio: SHARP + 1 });
    picture.className = "still";
    picture.removeAttribute("style");
    chart.dispose();
    place.parentElement.append(picture);
  };
  addEventListener("beforeprint", () => {
    const theme = root.dataset.theme;
    root.dataset.theme = "light";
    places.slice(0, MOST_PRINTED).forEach(still);
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
  });
  addEventListener("afterprint", () => document.querySelectorAll(".still").forEach((picture) => picture.remove()));

  // A link to a zone opens its section.
  const reveal = () => {
    const found = document.getElementById(location.hash.slice(1));
    if (found instanceof HTMLDetailsElement) found.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();

  const filter = document.getElementById("filter");
  if (filter) {
    const rows = [...document.querySelectorAll("#table tbody tr")];
    const parts = [...document.querySelectorAll("details.zone")];
    const named = (element) => {  // the title is the whole name where the text is shortened
      const name = element.querySelector("bdi");
      return (name.title || name.textContent).toLowerCase();
    };
    filter.addEventListener("input", () => {
      const wanted = filter.value.toLowerCase();
      for (const element of [...rows, ...parts]) element.hidden = !named(element).includes(wanted);
    });
  }
})();
