"use strict";

/* The page: what somebody does changes the state, the state is in the address, and what is shown follows from it. */

const id = (name) => document.getElementById(name);

class Page {
	constructor(kernel) {
		this.kernel = kernel;
		this.colors = new Colors(kernel);
		this.trees = {};
		this.selected = -1;
		this.state = readState(location.hash);
		const onPoint = (text) => {
			id("point").textContent = text || "\u00a0";
		};
		this.treemap = new Treemap(id("treemap"), this.colors, {
			onZoom: (node) => this.go({path: node.path}),
			onPick: (node) => this.pick(node.span >= 0 ? node.span : node.spans[0]),
			onPoint,
		});
		this.addresses = new AddressMap(id("addresses"), kernel, this.colors, {
			onRange: (from, to) => this.go({from: String(from), to: String(to)}),
			onPick: (span, place) => this.go({at: this.kernel.addressOf(place).toString(16)}),
			onPoint,
		});
		this.search = new Search(id("search"), id("hits"), kernel, (one) => this.choose(one));
		this._fillControls();
		this._listen();
		this.render();
	}

	_fillControls() {
		const {kernel} = this;
		for (const [key, {title}] of Object.entries(HIERARCHIES))
			id("by").append(made("option", {value: key, textContent: title}));
		for (const [key, title] of Object.entries(TABLES))
			id("table").append(made("option", {value: key, textContent: title}));
		const facts = [
			`${number(kernel.bytes)} bytes in ${number(kernel.sections.filter((one) => one.size).length)} sections`,
			`${number(kernel.symbolCount)} symbols, ${number(kernel.listed)} of them in kallsyms`,
			`${number(this.colors.count)} built-in modules`,
			kernel.buildId ? `build id ${kernel.buildId}` : "no build id",
		];
		id("facts").replaceChildren(...facts.map((text) => made("li", {textContent: text})));
		if (kernel.changes) {
			id("tab-changes").hidden = false;
			const difference = kernel.bytes - kernel.other.bytes;
			id("against").textContent =
				`Against ${kernel.other.path} (${kernel.other.buildId || "no build id"}): ${number(kernel.other.bytes)} bytes ` +
				`there, ${number(kernel.bytes)} here, ${difference > 0 ? "+" : ""}${number(difference)}.`;
			const levels = Object.keys(kernel.changes).filter((key) => key !== "before" && key !== "after");
			id("level").replaceChildren(...levels.map((key) => made("option", {value: key, textContent: key})));
		}
	}

	_listen() {
		window.addEventListener("hashchange", () => {
			if (writeState(this.state) !== location.hash) {
				this.state = readState(location.hash);
				this.render();
			}
		});
		for (const tab of document.querySelectorAll("[role=tab]")) {
			tab.addEventListener("click", () => this.go({view: tab.dataset.view, sort: "", filter: ""}));
			tab.addEventListener("keydown", (event) => this._nextTab(event));
		}
		id("by").addEventListener("change", () => this.go({by: id("by").value, path: []}));
		id("table").addEventListener("change", () => this.go({table: id("table").value, sort: "", filter: ""}));
		id("level").addEventListener("change", () => this.go({table: id("level").value, sort: "", filter: ""}));
		for (const field of ["filter", "filter-changes"])
			id(field).addEventListener("input", () => this.go({filter: id(field).value}, false));
		id("go").addEventListener("submit", (event) => {
			event.preventDefault();
			this._goToAddress(id("address").value);
		});
		id("theme").addEventListener("click", () => {
			const dark = getComputedStyle(document.documentElement).getPropertyValue("--dark").trim() === "1";
			this.go({theme: dark ? "light" : "dark"});
		});
		id("in").addEventListener("click", () => this.addresses.zoom(2, this._middle()));
		id("out").addEventListener("click", () => this.addresses.zoom(0.5, this._middle()));
		id("whole").addEventListener("click", () => this.go({from: "", to: ""}));
		id("link").addEventListener("click", () => this._copyLink());
		new ResizeObserver(() => this._draw()).observe(id("maps"));
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this._draw());
		document.addEventListener("keydown", (event) => {
			if (event.key === "/" && !/INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) {
				event.preventDefault();
				id("search").focus();
			}
		});
	}

	/* Change what is shown. keep: whether the button "back" leads to what was shown before */
	go(change, keep = true) {
		Object.assign(this.state, change);
		const fragment = writeState(this.state);
		if (keep)
			location.hash = fragment;
		else
			history.replaceState(null, "", fragment);
		this.render();
	}

	/* The address of a view that differs from this one so. */
	link(change) {
		return writeState({...structuredClone(this.state), view: "map", sort: "", filter: "", ...change});
	}

	tree() {
		this.trees[this.state.by] ??= new Tree(this.kernel, this.state.by);
		return this.trees[this.state.by];
	}

	pick(span) {
		const {kernel} = this;
		this.go({at: kernel.address(span).toString(16)});
	}

	choose(one) {
		const {kernel} = this;
		if (one.kind === "section")
			this.go({view: "map", by: "section", path: [one.label]});
		else if (one.kind === "module")
			this.go({view: "map", by: "module", path: [one.label], only: one.label});
		else if (one.kind === "object")
			this.go({view: "map", ...placeOf(kernel, "object", one), only: ""});
		else
			this.go({view: "map", at: kernel.address(one.key).toString(16), ...this._near(one.key)});
	}

	/* A range of addresses and a place in the tree around a span. */
	_near(span) {
		const {kernel} = this;
		const size = Math.min(kernel.bytes, 65536);
		const from = Math.max(0, Math.min(kernel.bytes - size, Math.floor(kernel.place[span] - size / 2)));
		const path = kernel.bytes_of[span] ? this.tree().holding(span).path : this.state.path;
		return {from: String(from), to: String(from + size), path};
	}

	_goToAddress(text) {
		const {kernel} = this;
		const found = /^\s*(?:0x)?([0-9a-f]{1,16})\s*$/i.exec(text);
		const place = found ? kernel.placeOf(BigInt("0x" + found[1])) : -1;
		id("address").setAttribute("aria-invalid", String(place < 0));
		if (place < 0) {
			id("point").textContent = found ? "no section holds this address" : "an address is hexadecimal";
			return;
		}
		this.go({view: "map", at: found[1].toLowerCase(), ...this._near(kernel.spanAt(place))});
	}

	/* From which to which place the address map is. */
	_range() {
		const {bytes} = this.kernel;
		const from = Math.min(Number(this.state.from), bytes - 1);
		const to = Math.min(Number(this.state.to) || bytes, bytes);
		return to > from ? [from, to] : [0, bytes];
	}

	_middle() {
		const {mark, from, to} = this.addresses;
		return mark >= from && mark < to ? mark : (from + to) / 2;
	}

	_nextTab(event) {
		const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
		if (!step)
			return;
		const tabs = [...document.querySelectorAll("[role=tab]")].filter((tab) => !tab.hidden);
		const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
		next.focus();
		next.click();
	}

	async _copyLink() {
		try {
			await navigator.clipboard.writeText(location.href);
			id("point").textContent = "the link to this view is on the clipboard";
		} catch {
			id("point").textContent = "the link to this view is what the browser's address line says";
		}
	}

	render() {
		const {state} = this;
		if (state.theme)
			document.documentElement.dataset.theme = state.theme;
		else
			delete document.documentElement.dataset.theme;
		if (state.view === "changes" && !this.kernel.changes)
			state.view = "map";
		for (const tab of document.querySelectorAll("[role=tab]")) {
			const chosen = tab.dataset.view === state.view;
			tab.setAttribute("aria-selected", String(chosen));
			tab.tabIndex = chosen ? 0 : -1;
			id(`view-${tab.dataset.view}`).hidden = !chosen;
		}
		if (state.view === "map")
			this._renderMap();
		else if (state.view === "tables")
			this._renderTable();
		else
			this._renderChanges();
	}

	_renderMap() {
		const {state, kernel} = this;
		id("by").value = state.by;
		const node = this.tree().at(state.path);
		showCrumbs(this, node);
		showContents(this, node);
		showSelection(this);
		this.node = node;
		const [from, to] = this._range();
		const shown = `${kernel.hex(kernel.addressOf(from))} to ${kernel.hex(kernel.addressOf(to - 1))}`;
		id("range").textContent = `${shown}, ${rounded(to - from)}`;
		this._draw();
	}

	_draw() {
		if (this.state.view !== "map" || !this.node)
			return;
		const {state, kernel} = this;
		this.colors.read();
		showLegend(this);
		this.treemap.show(this.node);
		const [from, to] = this._range();
		const place = state.at ? kernel.placeOf(BigInt("0x" + state.at)) : -1;
		const only = kernel.groups.module.labels.indexOf(state.only);
		this.addresses.show(from, to, place, only);
	}

	_renderTable() {
		const {state} = this;
		if (!(state.table in TABLES))
			state.table = "module";
		id("table").value = state.table;
		const link = (change) => this.link(change);
		this._grid("table", "grid", "filter", () => tableOf(this.kernel, state.table, link), TABLES[state.table]);
	}

	_renderChanges() {
		const {state, kernel} = this;
		if (!(state.table in kernel.changes))
			state.table = "module";
		id("level").value = state.table;
		const make = () => changeTable(kernel, state.table);
		this._grid("changes", "grid-changes", "filter-changes", make, `changes by ${state.table}`);
	}

	_grid(kind, place, field, make, caption) {
		const {state} = this;
		const key = `${kind}/${state.table}`;
		if (this.gridKey !== key) {
			this.gridKey = key;
			this.made = make();
			const onState = (sort, filter) => this.go({sort, filter});
			this.grid = new Grid(id(place), this.made.columns, this.made.rows, caption, onState);
		}
		if (id(field).value !== state.filter)
			id(field).value = state.filter;
		this.grid.show(state.sort || this.made.sort, state.filter);
	}
}

async function main() {
	try {
		const kernel = new Kernel(await inflate(id("data").textContent));
		id("data").remove();
		window.page = new Page(kernel);
		requestAnimationFrame(() => requestAnimationFrame(() => {
			document.documentElement.dataset.drawn = String(Math.round(performance.now()));
		}));
	} catch (error) {
		id("point").textContent = `This page cannot be shown: ${error.message}`;
		throw error;
	}
}

main();
