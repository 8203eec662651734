"use strict";(self.rspackChunkscience_gateway_jupyterlab=self.rspackChunkscience_gateway_jupyterlab||[]).push([["style_index_js"],{"./node_modules/css-loader/dist/cjs.js!./style/compare.css"(o,e,r){var a=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),s=r.n(a),t=r("./node_modules/css-loader/dist/runtime/api.js"),i=(r.n(t))()(s());i.push([o.id,`.sg-compare-panel {
  overflow: auto;
  padding: 10px 14px;
  color: var(--jp-ui-font-color1);
  background: var(--jp-layout-color1);
  font-size: var(--jp-ui-font-size1);
}

.sg-compare {
  display: flex;
  flex-direction: column;
  gap: 14px;
}

.sg-compare-head {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 14px;
  margin-bottom: 4px;
}

.sg-compare-head h2 {
  margin: 0;
  font-size: var(--jp-ui-font-size2);
}

.sg-compare-head label {
  display: inline-flex;
  align-items: center;
  gap: 4px;
}

.sg-compare-scroll {
  overflow: auto;
}

.sg-compare-scroll:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
}

.sg-compare-table {
  border-collapse: collapse;
}

.sg-compare-table th,
.sg-compare-table td {
  padding: 3px 14px 3px 6px;
  text-align: left;
  vertical-align: top;
  font-weight: normal;
  max-width: 26em;
  overflow-wrap: anywhere;
  white-space: pre-wrap;
  border-bottom: 1px solid var(--jp-border-color3);
}

.sg-compare-table tbody th[scope='row'] {
  padding-left: 14px;
  color: var(--jp-ui-font-color2);
}

.sg-compare-table .sg-compare-group {
  padding-top: 8px;
  font-weight: 600;
}

.sg-compare-table td {
  font-variant-numeric: tabular-nums;
}

.sg-compare-table .sg-mod-differs td {
  font-weight: 600;
}

.sg-compare-job {
  display: flex;
  align-items: center;
  gap: 4px;
  font-weight: 600;
}

.sg-compare-link {
  border: 0;
  padding: 0;
  background: none;
  color: var(--jp-content-link-color);
  font: inherit;
  text-align: left;
  cursor: pointer;
  overflow-wrap: anywhere;
}

.sg-compare-link:hover {
  text-decoration: underline;
}

.sg-compare-link:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
}

.sg-compare-search {
  margin-top: 6px;
  max-width: 480px;
  padding: 8px;
  border: 1px solid var(--jp-border-color2);
}

.sg-compare-search ul {
  list-style: none;
  margin: 6px 0 0;
  padding: 0;
  max-height: 220px;
  overflow: auto;
}

.sg-compare-search li {
  display: flex;
  justify-content: space-between;
  gap: 10px;
  padding: 2px 0;
}

.sg-compare-images {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(240px, 1fr));
  gap: 10px;
}

.sg-compare-images figure {
  margin: 0;
}

.sg-compare-images img {
  max-width: 100%;
  background: #fff;
}
`,""]),r.d(e,{},{A:i})},"./node_modules/css-loader/dist/cjs.js!./style/components.css"(o,e,r){var a=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),s=r.n(a),t=r("./node_modules/css-loader/dist/runtime/api.js"),i=(r.n(t))()(s());i.push([o.id,`/* Parts that all features share. Colours are JupyterLab's, so that themes hold. */
.sg-state {
  display: inline-flex;
  align-items: center;
  gap: 4px;
  white-space: nowrap;
}

.sg-state-icon,
.sg-state-icon svg {
  display: inline-flex;
  width: 14px;
  height: 14px;
  flex: none;
}

.sg-state-draft,
.sg-state-accepted,
.sg-state-staging,
.sg-state-queued,
.sg-state-held,
.sg-state-cancelled {
  color: var(--jp-ui-font-color2);
}

.sg-state-running,
.sg-state-finalizing {
  color: var(--jp-brand-color1);
}

.sg-state-succeeded {
  color: var(--jp-success-color0, var(--jp-success-color1));
}

.sg-state-failed,
.sg-state-lost {
  color: var(--jp-error-color0, var(--jp-error-color1));
}

.sg-state-unknown {
  color: var(--jp-warn-color0, var(--jp-warn-color1));
}

/* In dark themes the numbers go from dark to light too: these are the ones that can be read there. */
[data-jp-theme-light='false'] .sg-state-succeeded {
  color: var(--jp-success-color2, var(--jp-success-color1));
}

[data-jp-theme-light='false'] .sg-state-failed,
[data-jp-theme-light='false'] .sg-state-lost {
  color: var(--jp-error-color2, var(--jp-error-color1));
}

[data-jp-theme-light='false'] .sg-state-unknown {
  color: var(--jp-warn-color2, var(--jp-warn-color1));
}

.sg-progress {
  height: 3px;
  border-radius: 2px;
  background: var(--jp-layout-color3);
  overflow: hidden;
}

.sg-progress-done {
  height: 100%;
  background: currentcolor;
}

.sg-notice {
  padding: 8px 10px;
  border-left: 3px solid var(--jp-info-color1);
  background: var(--jp-layout-color2);
  color: var(--jp-ui-font-color1);
  overflow-wrap: anywhere;
}

.sg-notice-error {
  border-left-color: var(--jp-error-color1);
}

.sg-notice-warning {
  border-left-color: var(--jp-warn-color1);
}

.sg-notice ul {
  margin: 4px 0;
  padding-left: 18px;
}

.sg-notice-hint {
  margin-top: 4px;
  color: var(--jp-ui-font-color2);
}

.sg-backlog {
  color: var(--jp-ui-font-color1);
}

.sg-backlog.sg-mod-behind {
  color: var(--jp-ui-font-color1);
  background: var(--jp-warn-color3);
  border-radius: 2px;
  padding: 1px 6px;
}

[data-jp-theme-light='false'] .sg-backlog.sg-mod-behind {
  background: none;
  border: 1px solid var(--jp-warn-color1);
}

.sg-job-behind {
  margin: 4px 0;
}

.sg-job-evidence h4 {
  margin: 4px 0;
}
`,""]),r.d(e,{},{A:i})},"./node_modules/css-loader/dist/cjs.js!./style/index.css"(o,e,r){var a=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),s=r.n(a),t=r("./node_modules/css-loader/dist/runtime/api.js"),i=r.n(t),l=r("./node_modules/css-loader/dist/cjs.js!./style/components.css"),n=r("./node_modules/css-loader/dist/cjs.js!./style/sidebar.css"),p=r("./node_modules/css-loader/dist/cjs.js!./style/launch.css"),g=r("./node_modules/css-loader/dist/cjs.js!./style/job.css"),d=r("./node_modules/css-loader/dist/cjs.js!./style/outputs.css"),c=r("./node_modules/css-loader/dist/cjs.js!./style/compare.css"),u=r("./node_modules/css-loader/dist/cjs.js!./style/targets.css"),f=r("./node_modules/css-loader/dist/cjs.js!./style/notebooks.css"),m=i()(s());m.i(l.A),m.i(n.A),m.i(p.A),m.i(g.A),m.i(d.A),m.i(c.A),m.i(u.A),m.i(f.A),m.push([o.id,`
`,""]),r.d(e,{},{A:m})},"./node_modules/css-loader/dist/cjs.js!./style/job.css"(o,e,r){var a=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),s=r.n(a),t=r("./node_modules/css-loader/dist/runtime/api.js"),i=(r.n(t))()(s());i.push([o.id,`/* Job: one job in the main area, its plots and its log. */
.sg-job-widget {
  overflow: auto;
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size1);
}

.sg-job {
  display: flex;
  flex-direction: column;
  min-height: 100%;
  box-sizing: border-box;
  padding: 12px 16px;
  gap: 8px;
}

.sg-job h2,
.sg-job h3 {
  margin: 0;
  font-weight: 600;
  color: var(--jp-ui-font-color1);
}

.sg-job h2 {
  font-size: var(--jp-ui-font-size3);
}

.sg-job h3 {
  font-size: var(--jp-ui-font-size1);
}

.sg-job-head {
  display: flex;
  flex-direction: column;
  gap: 8px;
}

.sg-job-title {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px 14px;
}

.sg-job-quiet,
.sg-job-message,
.sg-job small {
  margin: 0;
  color: var(--jp-ui-font-color2);
}

.sg-job-old {
  color: var(--jp-ui-font-color1);
  background: var(--jp-warn-color3);
  border-radius: 2px;
  padding: 1px 6px;
}

[data-jp-theme-light='false'] .sg-job-old {
  background: none;
  border: 1px solid var(--jp-warn-color1);
}

.sg-job-facts {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 18px;
  margin: 0;
}

.sg-job-facts > div {
  display: flex;
  gap: 6px;
  min-width: 0;
}

.sg-job-facts dt,
.sg-job-pairs dt {
  color: var(--jp-ui-font-color2);
}

.sg-job-facts dd,
.sg-job-pairs dd {
  margin: 0;
  overflow-wrap: anywhere;
  min-width: 0;
}

.sg-job-tag,
.sg-job-chip {
  padding: 0 7px;
  border-radius: 9px;
  background: var(--jp-layout-color3);
}

.sg-job .sg-job-tag dt {
  color: var(--jp-ui-font-color1);
}

.sg-job-buttons {
  display: flex;
  flex-wrap: wrap;
  gap: 6px;
}

.sg-job-button.jp-mod-styled {
  height: 28px;
  padding: 0 10px;
  line-height: 28px;
}

.sg-job-button.jp-mod-styled:not(.jp-mod-accept, .jp-mod-warn),
.sg-job-bar .jp-mod-styled:not(.jp-mod-accept),
.sg-job-addtag button.jp-mod-styled,
.sg-log-search button.jp-mod-styled,
.sg-job-editing button.jp-mod-styled:not(.jp-mod-accept) {
  background: var(--jp-layout-color2);
  color: var(--jp-ui-font-color1);
  border: 1px solid var(--jp-border-color1);
}

.sg-job-link {
  padding: 0;
  border: none;
  background: none;
  color: var(--jp-content-link-color);
  font: inherit;
  cursor: pointer;
  text-align: left;
  overflow-wrap: anywhere;
}

.sg-job-link:hover {
  text-decoration: underline;
}

.sg-job :focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: 1px;
}

.sg-job-editable .sg-job-link {
  margin-left: 8px;
  font-size: var(--jp-ui-font-size1);
  font-weight: 400;
}

.sg-job-text {
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}

.sg-job-editing {
  display: inline-flex;
  flex-wrap: wrap;
  gap: 6px;
  align-items: flex-start;
  max-width: 100%;
}

.sg-job-editing input {
  width: min(420px, 60vw);
}

.sg-job-editing textarea {
  width: min(420px, 60vw);
  padding: 6px;
  resize: vertical;
  font-family: inherit;
  color: var(--jp-ui-font-color1);
  background: var(--jp-input-background);
  border: 1px solid var(--jp-border-color1);
}

.sg-job-reason {
  font-weight: 600;
}

.sg-job-said {
  white-space: pre-wrap;
}

.sg-job-lines {
  margin: 4px 0 0;
  max-height: 220px;
  overflow: auto;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
}

/* Tabs. */
.sg-job-tabs {
  display: flex;
  flex-wrap: wrap;
  gap: 2px;
  border-bottom: 1px solid var(--jp-border-color1);
}

.sg-job-tabs [role='tab'] {
  padding: 6px 12px;
  border: none;
  border-bottom: 2px solid transparent;
  background: none;
  color: var(--jp-ui-font-color1);
  font: inherit;
  cursor: pointer;
}

.sg-job-tabs [role='tab'][aria-selected='true'] {
  border-bottom-color: var(--jp-brand-color1);
  font-weight: 600;
}

.sg-job-tabs [role='tab']:hover {
  background: var(--jp-layout-color2);
}

.sg-job-panel {
  display: flex;
  flex: 1 1 auto;
  flex-direction: column;
  min-height: 0;
  gap: 8px;
}

.sg-job-panel[hidden] {
  display: none;
}

/* Overview. */
.sg-job-overview {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr));
  gap: 20px 32px;
  padding-top: 6px;
}

.sg-job-section {
  display: flex;
  flex-direction: column;
  gap: 8px;
  min-width: 0;
}

.sg-job-section.sg-wide {
  grid-column: 1 / -1;
}

.sg-job-pairs {
  display: grid;
  gap: 3px;
  margin: 0;
}

.sg-job-pairs > div {
  display: grid;
  grid-template-columns: minmax(90px, 38%) 1fr;
  gap: 10px;
}

.sg-job-code {
  max-height: 220px;
  margin: 0;
  overflow: auto;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
}

.sg-job-stores,
.sg-job-tags ul,
.sg-timeline-list,
.sg-job-events ol {
  margin: 0;
  padding: 0;
  list-style: none;
}

.sg-job-stores li {
  display: flex;
  flex-wrap: wrap;
  gap: 4px 12px;
}

.sg-outputs-complete {
  color: var(--jp-success-color0, var(--jp-success-color1));
}

.sg-outputs-partial,
.sg-outputs-rescued {
  color: var(--jp-warn-color0, var(--jp-warn-color1));
}

.sg-verified-failed {
  color: var(--jp-error-color0, var(--jp-error-color1));
  font-weight: 600;
}

[data-jp-theme-light='false'] .sg-verified-failed {
  color: var(--jp-error-color1);
}

[data-jp-theme-light='false'] .sg-outputs-complete {
  color: var(--jp-success-color1);
}

[data-jp-theme-light='false'] .sg-outputs-partial,
[data-jp-theme-light='false'] .sg-outputs-rescued {
  color: var(--jp-warn-color1);
}

.sg-job-tags,
.sg-job-tags ul,
.sg-job-addtag {
  display: flex;
  flex-wrap: wrap;
  gap: 6px;
}

.sg-job-chip .sg-job-link {
  margin-left: 6px;
}

.sg-job-image progress {
  width: min(300px, 100%);
  margin-left: 10px;
}

.sg-job-progress {
  margin: 0;
}

.sg-timeline {
  display: flex;
  height: 12px;
  gap: 1px;
  overflow: hidden;
  border-radius: 3px;
  background: var(--jp-layout-color2);
}

.sg-timeline > span {
  flex: 0 1 0;
  min-width: 3px;
}

.sg-timeline-list {
  display: flex;
  flex-wrap: wrap;
  gap: 4px 22px;
}

.sg-timeline-list li {
  display: inline-flex;
  align-items: center;
  gap: 6px;
}

.sg-timeline-time {
  font-variant-numeric: tabular-nums;
  font-weight: 600;
}

.sg-timeline-mark {
  width: 10px;
  height: 10px;
  border-radius: 2px;
}

.sg-timeline-total .sg-timeline-mark {
  display: none;
}

.sg-phase-draft,
.sg-phase-accepted {
  background: var(--md-grey-400, gray);
}

.sg-phase-staging {
  background: var(--md-blue-grey-400, slategray);
}

.sg-phase-queued {
  background: var(--md-amber-600, orange);
}

.sg-phase-held {
  background: var(--md-brown-400, brown);
}

.sg-phase-starting {
  background: var(--md-cyan-300, skyblue);
}

.sg-phase-image {
  background: var(--md-purple-300, mediumpurple);
}

.sg-phase-running {
  background: var(--md-blue-600, royalblue);
}

.sg-phase-stopping {
  background: var(--md-deep-orange-400, coral);
}

.sg-phase-sync {
  background: var(--md-teal-500, teal);
}

.sg-phase-finalizing {
  background: var(--md-green-400, seagreen);
}

.sg-phase-unknown {
  background: repeating-linear-gradient(
    45deg,
    var(--jp-layout-color3),
    var(--jp-layout-color3) 4px,
    var(--jp-warn-color1) 4px,
    var(--jp-warn-color1) 7px
  );
}

.sg-job-scroll {
  overflow: auto;
}

.sg-job-table {
  border-collapse: collapse;
  font-variant-numeric: tabular-nums;
}

.sg-job-table th,
.sg-job-table td {
  padding: 3px 14px 3px 0;
  border-bottom: 1px solid var(--jp-border-color2);
  text-align: left;
  vertical-align: top;
}

.sg-job-table th {
  font-weight: 600;
}

.sg-job-check {
  display: inline-flex;
  align-items: center;
  gap: 5px;
  white-space: nowrap;
}

.sg-job-check input {
  margin: 0;
}

.sg-job-bar {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 14px;
}

/* Events and script. */
.sg-job-events li {
  border-bottom: 1px solid var(--jp-border-color2);
}

.sg-job-events summary {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 12px;
  padding: 4px 0;
  cursor: pointer;
  overflow-wrap: anywhere;
}

.sg-job-events summary::before {
  content: '▸';
  color: var(--jp-ui-font-color2);
}

.sg-job-events details[open] > summary::before {
  content: '▾';
}

.sg-job-events time {
  color: var(--jp-ui-font-color2);
  font-variant-numeric: tabular-nums;
  white-space: nowrap;
}

.sg-job-kind {
  min-width: 70px;
  font-weight: 600;
}

.sg-job-events pre,
.sg-job-script pre {
  margin: 0 0 8px;
  padding: 8px 10px;
  overflow: auto;
  background: var(--jp-layout-color2);
  color: var(--jp-content-font-color1);
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
  line-height: 1.4;
}

.sg-job-script,
.sg-job-events {
  display: flex;
  flex-direction: column;
  gap: 8px;
}

/* Plots. */
.sg-plots {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr));
  gap: 24px;
  padding-top: 6px;
}

.sg-plots-one {
  min-width: 0;
}

.sg-plots-head {
  display: flex;
  flex-wrap: wrap;
  align-items: baseline;
  gap: 4px 14px;
  margin-bottom: 6px;
}

.sg-plots-head code {
  color: var(--jp-ui-font-color2);
  font-size: var(--jp-ui-font-size0);
}

.sg-plots-values summary {
  cursor: pointer;
  color: var(--jp-ui-font-color2);
}

.sg-plot {
  --sg-plot-1: var(--md-blue-700, royalblue);
  --sg-plot-2: var(--md-deep-orange-600, orangered);
  --sg-plot-3: var(--md-green-700, green);
  --sg-plot-4: var(--md-purple-500, purple);
  --sg-plot-5: var(--md-brown-500, brown);
  --sg-plot-6: var(--md-cyan-700, teal);
  --sg-plot-7: var(--md-pink-500, deeppink);
  --sg-plot-8: var(--md-grey-700, dimgray);

  margin: 0;
  min-width: 0;
}

[data-jp-theme-light='false'] .sg-plot {
  --sg-plot-1: var(--md-blue-300, lightskyblue);
  --sg-plot-2: var(--md-orange-400, orange);
  --sg-plot-3: var(--md-green-400, lightgreen);
  --sg-plot-4: var(--md-purple-200, plum);
  --sg-plot-5: var(--md-brown-200, tan);
  --sg-plot-6: var(--md-cyan-300, cyan);
  --sg-plot-7: var(--md-pink-300, pink);
  --sg-plot-8: var(--md-grey-400, lightgray);
}

.sg-plot-canvas {
  width: 100%;
  overflow: hidden;
}

.sg-plot .u-select {
  background: var(--jp-brand-color1);
  opacity: 0.15;
}

.sg-plot .u-cursor-x,
.sg-plot .u-cursor-y {
  border-color: var(--jp-ui-font-color2);
}

.sg-plot-legend {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 2px 14px;
  padding: 4px 0;
}

.sg-plot-place,
.sg-plot-value {
  color: var(--jp-ui-font-color2);
  font-variant-numeric: tabular-nums;
}

.sg-plot-name {
  display: inline-flex;
  align-items: center;
  gap: 6px;
  padding: 1px 2px;
  border: none;
  background: none;
  color: var(--jp-ui-font-color1);
  font: inherit;
  cursor: pointer;
}

.sg-plot-name[aria-pressed='false'] {
  text-decoration: line-through;
}

.sg-plot-name[aria-pressed='false'] .sg-plot-swatch {
  opacity: 0.25;
}

.sg-plot-swatch {
  width: 14px;
  height: 3px;
  background: currentcolor;
}

.sg-plot-colour-1 .sg-plot-swatch {
  background: var(--sg-plot-1);
}

.sg-plot-colour-2 .sg-plot-swatch {
  background: var(--sg-plot-2);
}

.sg-plot-colour-3 .sg-plot-swatch {
  background: var(--sg-plot-3);
}

.sg-plot-colour-4 .sg-plot-swatch {
  background: var(--sg-plot-4);
}

.sg-plot-colour-5 .sg-plot-swatch {
  background: var(--sg-plot-5);
}

.sg-plot-colour-6 .sg-plot-swatch {
  background: var(--sg-plot-6);
}

.sg-plot-colour-7 .sg-plot-swatch {
  background: var(--sg-plot-7);
}

.sg-plot-colour-8 .sg-plot-swatch {
  background: var(--sg-plot-8);
}

/* Log. */
.sg-log {
  display: flex;
  flex: 1 1 auto;
  flex-direction: column;
  gap: 6px;
  min-height: 260px;
}

.sg-log-bar {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 16px;
}

.sg-log-streams {
  display: inline-flex;
  margin: 0;
  padding: 0;
  border: 1px solid var(--jp-border-color1);
  border-radius: 3px;
}

.sg-log-streams legend {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
}

.sg-log-streams label {
  position: relative;
  padding: 3px 10px;
  cursor: pointer;
}

.sg-log-streams label.sg-chosen {
  background: var(--jp-layout-color3);
  font-weight: 600;
}

.sg-log-streams label:focus-within {
  outline: 2px solid var(--jp-brand-color1);
}

.sg-log-streams input {
  position: absolute;
  opacity: 0;
}

.sg-log-search {
  display: inline-flex;
  align-items: center;
  gap: 4px;
}

.sg-log-search input.jp-mod-styled {
  width: 160px;
  height: 26px;
}

.sg-job input.jp-mod-styled {
  font-size: var(--jp-ui-font-size1);
}

/* The state in the tab of the main area. */
.sg-job-icon {
  display: flex;
  align-items: center;
}

.sg-job-icon svg {
  display: block;
}

.sg-log-search button.jp-mod-styled {
  min-width: 26px;
  height: 26px;
  padding: 0;
  line-height: 24px;
}

.sg-log-count:not(:empty) {
  min-width: 60px;
  color: var(--jp-ui-font-color2);
  font-variant-numeric: tabular-nums;
}

a.sg-log-download {
  color: var(--jp-content-link-color);
}

.sg-log-above {
  color: var(--jp-ui-font-color2);
}

.sg-log-text {
  flex: 1 1 200px;
  min-height: 200px;
  overflow: auto;
  border: 1px solid var(--jp-border-color2);
  background: var(--jp-layout-color0);
  color: var(--jp-content-font-color1);
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
  contain: strict;
}

.sg-log-all {
  position: relative;
  width: 100%;
}

.sg-log-row {
  position: absolute;
  top: 0;
  left: 0;
  width: 100%;
  box-sizing: border-box;
  min-height: 18px;
  padding: 0 8px;
  line-height: 18px;
  white-space: pre;
  unicode-bidi: isolate;
}

.sg-log-wrap .sg-log-row {
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}

.sg-log-row.sg-current {
  background: var(--jp-layout-color3);
}

.sg-log-row mark {
  background: var(--jp-warn-color1);
  color: black;
}

.sg-ansi-bold {
  font-weight: 700;
}

.sg-ansi-dim {
  opacity: 0.75;
}

.sg-ansi-italic {
  font-style: italic;
}

.sg-ansi-underline {
  text-decoration: underline;
}

.sg-ansi-fg-0,
.sg-ansi-fg-8 {
  color: var(--jp-ui-font-color2);
}

.sg-ansi-fg-1,
.sg-ansi-fg-9 {
  color: var(--md-red-700, red);
}

.sg-ansi-fg-2,
.sg-ansi-fg-10 {
  color: var(--md-green-800, green);
}

.sg-ansi-fg-3,
.sg-ansi-fg-11 {
  color: var(--md-brown-600, brown);
}

.sg-ansi-fg-4,
.sg-ansi-fg-12 {
  color: var(--md-blue-800, blue);
}

.sg-ansi-fg-5,
.sg-ansi-fg-13 {
  color: var(--md-purple-700, purple);
}

.sg-ansi-fg-6,
.sg-ansi-fg-14 {
  color: var(--md-teal-800, teal);
}

.sg-ansi-fg-back {
  color: var(--jp-layout-color0);
}

.sg-ansi-bg-front {
  background: var(--jp-content-font-color1);
}

.sg-ansi-bg-1,
.sg-ansi-bg-9 {
  background: var(--md-red-200, pink);
  color: black;
}

.sg-ansi-bg-2,
.sg-ansi-bg-10 {
  background: var(--md-green-200, lightgreen);
  color: black;
}

.sg-ansi-bg-3,
.sg-ansi-bg-11 {
  background: var(--md-amber-200, khaki);
  color: black;
}

.sg-ansi-bg-4,
.sg-ansi-bg-12 {
  background: var(--md-blue-200, lightblue);
  color: black;
}

.sg-ansi-bg-5,
.sg-ansi-bg-13 {
  background: var(--md-purple-200, plum);
  color: black;
}

.sg-ansi-bg-6,
.sg-ansi-bg-14 {
  background: var(--md-teal-200, paleturquoise);
  color: black;
}

.sg-ansi-bg-0,
.sg-ansi-bg-7,
.sg-ansi-bg-8,
.sg-ansi-bg-15 {
  background: var(--jp-layout-color3);
}

[data-jp-theme-light='false'] .sg-ansi-fg-1,
[data-jp-theme-light='false'] .sg-ansi-fg-9 {
  color: var(--md-red-300, lightcoral);
}

[data-jp-theme-light='false'] .sg-ansi-fg-2,
[data-jp-theme-light='false'] .sg-ansi-fg-10 {
  color: var(--md-green-300, lightgreen);
}

[data-jp-theme-light='false'] .sg-ansi-fg-3,
[data-jp-theme-light='false'] .sg-ansi-fg-11 {
  color: var(--md-amber-300, khaki);
}

[data-jp-theme-light='false'] .sg-ansi-fg-4,
[data-jp-theme-light='false'] .sg-ansi-fg-12 {
  color: var(--md-blue-300, lightskyblue);
}

[data-jp-theme-light='false'] .sg-ansi-fg-5,
[data-jp-theme-light='false'] .sg-ansi-fg-13 {
  color: var(--md-purple-200, plum);
}

[data-jp-theme-light='false'] .sg-ansi-fg-6,
[data-jp-theme-light='false'] .sg-ansi-fg-14 {
  color: var(--md-teal-200, paleturquoise);
}
`,""]),r.d(e,{},{A:i})},"./node_modules/css-loader/dist/cjs.js!./style/launch.css"(o,e,r){var a=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),s=r.n(a),t=r("./node_modules/css-loader/dist/runtime/api.js"),i=(r.n(t))()(s());i.push([o.id,`/* Gallery and launch form. */
.sg-panel {
  overflow: auto;
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size1);
}

.sg-launch-panel {
  padding: 16px 20px;
}

.sg-gallery,
.sg-launch {
  max-width: 860px;
  margin: 0 auto;
}

.sg-launch-panel h1 {
  margin: 4px 0 12px;
  font-size: var(--jp-ui-font-size3);
  font-weight: 600;
}

.sg-launch input.jp-mod-styled,
.sg-launch .sg-family select,
.sg-launch .sg-family .form-control:not(textarea),
.sg-gallery-search.jp-mod-styled {
  height: 28px;
  padding: 0 8px;
  border: 1px solid var(--jp-border-color1);
  background: var(--jp-input-background);
  color: var(--jp-ui-font-color0);
  font-size: var(--jp-ui-font-size1);
  font-family: var(--jp-ui-font-family);
}

.sg-gallery-search.jp-mod-styled {
  width: 100%;
  box-sizing: border-box;
  margin-bottom: 12px;
}

.sg-cards {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(200px, 1fr));
  gap: 12px;
  margin: 0;
  padding: 0;
  list-style: none;
}

.sg-card {
  display: flex;
  flex-direction: column;
  gap: 4px;
  width: 100%;
  height: 100%;
  padding: 10px;
  border: 1px solid var(--jp-border-color1);
  border-radius: 4px;
  background: var(--jp-layout-color1);
  color: inherit;
  font: inherit;
  text-align: left;
  cursor: pointer;
}

.sg-card:hover {
  background: var(--jp-layout-color2);
}

.sg-card:focus-visible,
.sg-link:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: 1px;
}

.sg-card-picture {
  width: 100%;
  height: 100px;
  object-fit: contain;
}

.sg-card-own {
  display: flex;
  align-items: center;
  justify-content: center;
  color: var(--jp-ui-font-color2);
  font-size: 32px;
}

.sg-card-title {
  font-weight: 600;
}

.sg-card-text,
.sg-help,
.sg-loading {
  color: var(--jp-ui-font-color2);
}

.sg-card-text {
  display: -webkit-box;
  overflow: hidden;
  -webkit-box-orient: vertical;
  -webkit-line-clamp: 3;
  line-clamp: 3;
}

.sg-card-mark {
  color: var(--jp-warn-color0, var(--jp-warn-color1));
}

.sg-link {
  padding: 0;
  border: none;
  background: none;
  color: var(--jp-content-link-color);
  font: inherit;
  text-decoration: underline;
  cursor: pointer;
}

.sg-family {
  margin: 12px 0;
  border: 1px solid var(--jp-border-color2);
  border-radius: 4px;
  padding: 0 12px 8px;
}

.sg-family > summary {
  margin: 0 -12px;
  padding: 8px 12px;
  font-weight: 600;
  cursor: pointer;
}

.sg-number {
  display: flex;
  align-items: center;
  gap: 12px;
}

.sg-number-text {
  flex: 0 0 140px;
  width: 140px;
}

.sg-number-slider {
  flex: 1;
  accent-color: var(--jp-brand-color1);
}

.sg-resources,
.sg-labels {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(180px, 1fr));
  gap: 8px 16px;
  margin-top: 8px;
}

.sg-resource,
.sg-area,
.sg-sweep-axis label {
  display: flex;
  flex-direction: column;
  gap: 2px;
  margin-top: 6px;
}

.sg-area textarea {
  width: 100%;
  box-sizing: border-box;
  border: 1px solid var(--jp-border-color1);
  background: var(--jp-input-background);
  color: var(--jp-ui-font-color0);
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
}

.sg-stores {
  display: flex;
  flex-wrap: wrap;
  gap: 4px 16px;
  margin: 10px 0 0;
  padding: 6px 10px;
  border: 1px solid var(--jp-border-color2);
}

.sg-sweep-axis {
  display: flex;
  align-items: flex-end;
  gap: 12px;
}

.sg-sweep-axis label {
  flex: 1;
}

.sg-sweep-count {
  margin: 8px 0;
  font-weight: 600;
}

.sg-short.jp-mod-styled {
  width: 90px;
}

.sg-field-error {
  color: var(--jp-error-color0, var(--jp-error-color1));
}

.sg-launch-foot {
  display: flex;
  flex-wrap: wrap;
  align-items: flex-start;
  gap: 12px;
  margin: 16px 0;
}

.sg-preview {
  display: flex;
  flex: 1 1 100%;
  flex-direction: column;
  align-items: flex-start;
  gap: 8px;
  order: 1;
}

.sg-preview > section {
  width: 100%;
}

.sg-script {
  max-height: 420px;
  overflow: auto;
  padding: 8px;
  border: 1px solid var(--jp-border-color2);
  background: var(--jp-layout-color2);
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
}

.sg-description {
  color: var(--jp-ui-font-color2);
}

.sg-sweep > label {
  display: block;
  margin-top: 8px;
}

/* JupyterLab takes the arrow away from selects that are not its own component. */
.sg-launch select.jp-mod-styled {
  appearance: auto;
}

.sg-crate {
  display: flex;
  flex-direction: column;
  align-items: flex-start;
  gap: 10px;
}

.sg-crate > label {
  display: inline-flex;
  align-items: center;
  gap: 6px;
}

.sg-image-about {
  margin: 0;
  color: var(--jp-ui-font-color2);
  overflow-wrap: anywhere;
}
`,""]),r.d(e,{},{A:i})},"./node_modules/css-loader/dist/cjs.js!./style/notebooks.css"(o,e,r){var a=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),s=r.n(a),t=r("./node_modules/css-loader/dist/runtime/api.js"),i=(r.n(t))()(s());i.push([o.id,`/* Job cards in notebooks. */
.sg-job-card {
  max-width: 640px;
  padding: 8px 12px;
  border: 1px solid var(--jp-border-color1);
  border-radius: 4px;
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size1);
}

.sg-job-card-head,
.sg-job-card-foot {
  display: flex;
  flex-wrap: wrap;
  align-items: baseline;
  gap: 4px 12px;
}

.sg-job-card .sg-progress {
  margin: 6px 0;
}

.sg-job-card-message {
  overflow-wrap: anywhere;
}
`,""]),r.d(e,{},{A:i})},"./node_modules/css-loader/dist/cjs.js!./style/outputs.css"(o,e,r){var a=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),s=r.n(a),t=r("./node_modules/css-loader/dist/runtime/api.js"),i=(r.n(t))()(s());i.push([o.id,`/* The tab fills what the job's head leaves of the window, and is never so low that nothing can be read. */
.sg-job-panel:has(> .sg-outputs):not([hidden]) {
  display: flex;
  flex: 1 1 auto;
  min-height: 480px;
}

.sg-outputs {
  display: flex;
  flex: 1 1 auto;
  flex-direction: column;
  min-width: 0;
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size1);
  container-type: inline-size;
}

.sg-outputs-bar {
  display: flex;
  flex-direction: column;
  gap: 6px;
  padding: 6px 8px;
  border-bottom: 1px solid var(--jp-border-color2);
}

.sg-outputs-stores,
.sg-outputs-tools {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 12px;
}

.sg-outputs-tools .jp-InputGroup {
  flex: 1 1 180px;
  max-width: 360px;
}

.sg-outputs-tools label,
.sg-look-bar label {
  display: inline-flex;
  align-items: center;
  gap: 4px;
  white-space: nowrap;
}

.sg-completeness,
.sg-mark {
  display: inline-flex;
  align-items: center;
  gap: 3px;
  white-space: nowrap;
}

.sg-completeness-size {
  color: var(--jp-ui-font-color2);
}

.sg-mark-icon,
.sg-mark-icon svg {
  display: inline-flex;
  width: 13px;
  height: 13px;
  flex: none;
}

.sg-completeness.sg-mod-good > :not(.sg-completeness-size),
.sg-mark-final {
  color: var(--jp-success-color0, var(--jp-success-color1));
}

.sg-completeness.sg-mod-bad > :not(.sg-completeness-size) {
  color: var(--jp-error-color0, var(--jp-error-color1));
}

.sg-mark-partial {
  color: var(--jp-ui-font-color2);
}

[data-jp-theme-light='false'] .sg-completeness.sg-mod-good > :not(.sg-completeness-size),
[data-jp-theme-light='false'] .sg-mark-final {
  color: var(--jp-success-color2, var(--jp-success-color1));
}

[data-jp-theme-light='false'] .sg-completeness.sg-mod-bad > :not(.sg-completeness-size),
[data-jp-theme-light='false'] .sg-tree-error {
  color: var(--jp-error-color2, var(--jp-error-color1));
}

.sg-mark {
  flex: none;
  font-size: var(--jp-ui-font-size0);
}

.sg-outputs-split {
  display: flex;
  flex: 1 1 0;
  min-height: 0;
}

.sg-outputs-list {
  display: flex;
  flex-direction: column;
  min-width: 0;
  flex: 0 0 auto;
}

.sg-tree,
.sg-look-lines,
.sg-grid {
  flex: 1 1 0;
  min-height: 0;
  overflow: auto;
  contain: strict;
}

.sg-tree-row {
  position: absolute;
  top: 0;
  left: 0;
  width: 100%;
  height: 24px;
  box-sizing: border-box;
  padding-right: 10px;
  display: flex;
  align-items: center;
  gap: 5px;
  cursor: default;
  user-select: none;
}

.sg-tree-row:hover {
  background: var(--jp-layout-color2);
}

.sg-tree-row.sg-mod-selected {
  background: var(--jp-layout-color3);
}

.sg-tree:focus-visible,
.sg-look-lines:focus-visible,
.sg-grid:focus-visible,
.sg-vtk-canvas:focus-visible,
.sg-divider:focus-visible,
.sg-json-branch:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: -2px;
}

.sg-tree:focus-visible .sg-mod-focused {
  outline: 1px solid var(--jp-brand-color1);
  outline-offset: -1px;
}

.sg-tree-icon,
.sg-tree-icon svg {
  display: inline-flex;
  width: 15px;
  height: 15px;
  flex: none;
}

.sg-tree-file {
  margin-left: 15px;
}

.sg-tree-caret {
  display: inline-flex;
  width: 15px;
  margin-right: -5px;
}

.sg-tree-name {
  flex: 1 1 auto;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: pre;
  unicode-bidi: isolate;
}

.sg-tree-count,
.sg-tree-size {
  flex: none;
  color: var(--jp-ui-font-color2);
  font-variant-numeric: tabular-nums;
}

.sg-tree-size {
  min-width: 64px;
  text-align: right;
}

.sg-tree-more {
  color: var(--jp-ui-font-color2);
}

.sg-tree-error {
  color: var(--jp-error-color0, var(--jp-error-color1));
}

.sg-results-said {
  margin: 4px 8px;
  color: var(--jp-ui-font-color2);
}

.sg-divider {
  flex: 0 0 5px;
  cursor: col-resize;
  background: var(--jp-border-color2);
  touch-action: none;
}

.sg-look {
  flex: 1 1 0;
  min-width: 0;
  display: flex;
  flex-direction: column;
  overflow: hidden;
}

.sg-look-head {
  display: flex;
  align-items: flex-start;
  gap: 8px;
  padding: 6px 8px;
}

.sg-look-title {
  flex: 1 1 auto;
  min-width: 0;
}

.sg-look-title h3 {
  margin: 0;
  font-size: var(--jp-ui-font-size1);
  overflow-wrap: anywhere;
  white-space: pre-wrap;
  unicode-bidi: isolate;
}

.sg-look-facts {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 12px;
  color: var(--jp-ui-font-color2);
  font-size: var(--jp-ui-font-size0);
}

.sg-look-digest {
  font-family: var(--jp-code-font-family);
}

.sg-file-actions {
  display: flex;
  flex: none;
}

.sg-look-bar {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 4px 12px;
  padding: 4px 8px;
  border-bottom: 1px solid var(--jp-border-color3);
}

.sg-look-where,
.sg-look-empty {
  color: var(--jp-ui-font-color2);
}

.sg-look-empty {
  margin: 12px 8px;
}

.sg-look-text,
.sg-look-table,
.sg-look-json,
.sg-look-vtk,
.sg-vtk {
  flex: 1 1 0;
  min-height: 0;
  display: flex;
  flex-direction: column;
}

.sg-look-lines {
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
  background: var(--jp-layout-color0);
}

.sg-look-line {
  position: absolute;
  top: 0;
  left: 0;
  min-width: 100%;
  height: 17px;
  line-height: 17px;
  padding: 0 8px;
  white-space: pre;
  tab-size: 4;
}

.sg-look-line.sg-mod-wrap {
  width: 100%;
  height: auto;
  min-height: 17px;
  box-sizing: border-box;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}

.sg-grid {
  font-size: var(--jp-ui-font-size1);
  background: var(--jp-layout-color0);
}

.sg-grid-head {
  position: sticky;
  top: 0;
  z-index: 1;
  width: max-content;
  min-width: 100%;
}

.sg-grid-row {
  display: grid;
  height: 22px;
  min-width: 100%;
  width: max-content;
}

.sg-grid-row.sg-mod-floating {
  position: absolute;
  top: 0;
  left: 0;
}

.sg-grid-row > span {
  padding: 0 8px;
  line-height: 22px;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
  border-bottom: 1px solid var(--jp-border-color3);
}

.sg-grid-head .sg-grid-row > span {
  background: var(--jp-layout-color2);
  font-weight: 600;
}

.sg-grid-row .sg-mod-number,
.sg-grid-number {
  text-align: right;
  font-variant-numeric: tabular-nums;
}

.sg-grid-number {
  color: var(--jp-ui-font-color2);
}

.sg-table-plot {
  overflow: auto;
}

.sg-table-columns {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 12px;
  max-height: 84px;
  overflow: auto;
  margin: 6px 8px;
  border: 1px solid var(--jp-border-color2);
}

.sg-look-none {
  padding: 12px 8px;
}

.sg-look-none dl {
  display: grid;
  grid-template-columns: max-content 1fr;
  gap: 2px 12px;
}

.sg-look-none dt {
  color: var(--jp-ui-font-color2);
}

.sg-look-none dd {
  margin: 0;
}

.sg-look-ways {
  display: flex;
  gap: 12px;
  align-items: center;
}

.sg-look-ways a {
  color: var(--jp-content-link-color);
}

.sg-look-json {
  overflow: auto;
}

.sg-json,
.sg-json ul {
  list-style: none;
  margin: 0;
  padding-left: 16px;
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
  overflow-wrap: anywhere;
}

.sg-json {
  padding: 6px 8px;
}

.sg-json-branch {
  display: inline-flex;
  align-items: center;
  gap: 3px;
  padding: 0;
  border: 0;
  background: none;
  color: inherit;
  font: inherit;
  cursor: pointer;
}

.sg-json-summary {
  color: var(--jp-ui-font-color2);
}

.sg-json-name {
  color: var(--jp-mirror-editor-property-color, var(--jp-ui-font-color1));
}

.sg-look-image {
  flex: 1 1 0;
  min-height: 0;
  margin: 0;
  display: flex;
  flex-direction: column;
}

.sg-look-canvas {
  flex: 1 1 0;
  min-height: 80px;
  padding: 8px;
  display: flex;
  overflow: auto;
}

.sg-look-canvas img {
  margin: auto;
  max-width: 100%;
  max-height: 100%;
  object-fit: contain;
  background: #fff;
}

.sg-look-image.sg-mod-actual img {
  max-width: none;
  max-height: none;
}

.sg-look-image figcaption {
  display: flex;
  gap: 12px;
  align-items: center;
  padding: 4px 8px;
  color: var(--jp-ui-font-color2);
}

.sg-look-images {
  flex: 1 1 0;
  min-height: 0;
  overflow: auto;
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(220px, 1fr));
  grid-auto-rows: minmax(220px, 1fr);
  gap: 8px;
  padding: 8px;
}

.sg-steps input[type='range'] {
  flex: 1 1 120px;
  max-width: 360px;
}

.sg-vtk-canvas {
  flex: 1 1 0;
  min-height: 220px;
  position: relative;
  overflow: hidden;
  background: var(--jp-layout-color0);
}

.sg-vtk-legend {
  margin: 0;
  padding: 4px 8px;
}

.sg-vtk-legend figcaption {
  font-weight: 600;
}

.sg-vtk-gradient {
  height: 12px;
  border: 1px solid var(--jp-border-color2);
}

.sg-vtk-ticks {
  display: flex;
  justify-content: space-between;
  font-variant-numeric: tabular-nums;
  font-size: var(--jp-ui-font-size0);
}

.sg-vtk-summary {
  padding: 2px 8px 6px;
  color: var(--jp-ui-font-color2);
  max-height: 40%;
  overflow: auto;
}

.sg-vtk-summary th,
.sg-vtk-summary td {
  text-align: left;
  font-weight: normal;
  padding: 1px 12px 1px 0;
}

@container (max-width: 620px) {
  .sg-outputs-split {
    flex-direction: column;
  }

  .sg-outputs-list {
    min-height: 160px;
  }

  .sg-divider {
    display: none;
  }
}

.sg-mark-archived {
  color: var(--jp-ui-font-color1);
}

.sg-care {
  max-height: 40vh;
  overflow: auto;
  padding: 4px 0;
}

.sg-care p,
.sg-care ul {
  margin: 4px 0;
}

.sg-care-tools {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 12px;
  margin: 4px 0;
}

.sg-care-tools label {
  display: inline-flex;
  align-items: center;
  gap: 4px;
}

.sg-care-quiet {
  color: var(--jp-ui-font-color2);
}

.sg-care-days {
  width: 5em;
}

.sg-care-facts {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 18px;
  margin: 4px 0;
}

.sg-care-facts > div {
  display: flex;
  gap: 6px;
  min-width: 0;
}

.sg-care-facts dt {
  color: var(--jp-ui-font-color2);
  white-space: nowrap;
}

.sg-care-facts dd {
  margin: 0;
  overflow-wrap: anywhere;
}

.sg-care-scroll {
  overflow: auto;
}

.sg-care-table {
  border-collapse: collapse;
}

.sg-care-table th,
.sg-care-table td {
  padding: 2px 12px 2px 0;
  text-align: left;
  font-weight: normal;
  vertical-align: top;
}

.sg-care-table thead th {
  color: var(--jp-ui-font-color2);
}
`,""]),r.d(e,{},{A:i})},"./node_modules/css-loader/dist/cjs.js!./style/sidebar.css"(o,e,r){var a=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),s=r.n(a),t=r("./node_modules/css-loader/dist/runtime/api.js"),i=(r.n(t))()(s());i.push([o.id,`/* The list of jobs. */
.sg-sidebar {
  display: flex;
  flex-direction: column;
  min-width: 220px;
  height: 100%;
  overflow: hidden;
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size1);
}

.sg-sidebar:focus {
  outline: none;
}

.sg-head,
.sg-filters-line,
.sg-chosen {
  display: flex;
  align-items: center;
  gap: 4px;
  padding: 6px 8px;
}

.sg-filters-line {
  padding: 0 8px 6px;
}

.sg-new {
  display: inline-flex;
  align-items: center;
  gap: 4px;
  padding-left: 6px;
}

.sg-new svg {
  display: block;
  width: 14px;
}

.sg-new .jp-icon3[fill] {
  fill: currentcolor;
}

.sg-person {
  flex: 1;
  overflow: hidden;
  color: var(--jp-ui-font-color2);
  text-align: right;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.sg-busy {
  opacity: 0.5;
}

.sg-input.jp-mod-styled {
  flex: 1;
  min-width: 40px;
  height: 26px;
  padding: 0 6px;
  font-size: var(--jp-ui-font-size1);
}

.sg-select.jp-HTMLSelect {
  flex: none;
}

.sg-select.jp-HTMLSelect select {
  max-width: 120px;
  height: 26px;
  font-size: var(--jp-ui-font-size1);
  line-height: 24px;
}

.sg-note {
  padding: 4px 10px;
  color: var(--jp-ui-font-color2);
}

.sg-notice-actions {
  margin-top: 6px;
}

.sg-token {
  display: flex;
  flex-direction: column;
  gap: 8px;
  padding: 8px;
}

.sg-token input {
  width: 100%;
  margin-top: 2px;
}

.sg-dismissible {
  display: flex;
  align-items: flex-start;
}

.sg-dismissible .sg-notice {
  flex: 1;
}

.sg-empty {
  display: flex;
  flex-direction: column;
  align-items: center;
  gap: 10px;
  padding: 24px 16px;
  color: var(--jp-ui-font-color1);
  text-align: center;
}

.sg-list-frame {
  position: relative;
  flex: 1;
  min-height: 0;
}

.sg-list {
  height: 100%;
  overflow: hidden auto;
  contain: strict;

  /* The list holds its own place. */
  overflow-anchor: none;
}

.sg-list:focus {
  outline: none;
}

.sg-new-on-top.jp-mod-styled {
  position: absolute;
  z-index: 1;
  top: 6px;
  left: 50%;
  height: 24px;
  padding: 0 12px;
  border-radius: 12px;
  line-height: 24px;
  transform: translateX(-50%);
}

.sg-row {
  position: absolute;
  top: 0;
  left: 0;
  display: flex;
  width: 100%;
  height: 48px;
  box-sizing: border-box;
  padding: 5px 10px 5px 12px;
  border-bottom: 1px solid var(--jp-border-color2);
  cursor: pointer;
  contain: strict;
}

.sg-row:hover {
  background: var(--jp-layout-color2);
}

.sg-row-chosen,
.sg-row-chosen:hover {
  background: var(--jp-brand-color3);
}

[data-jp-theme-light='false'] .sg-row-chosen {
  background: color-mix(in srgb, var(--jp-brand-color1) 30%, var(--jp-layout-color1));
}

/* On the colour of what is chosen only the plain text colour can be read in every theme. */
.sg-row-chosen .sg-state,
.sg-row-chosen .sg-stale,
.sg-row-chosen .sg-sweep-size,
.sg-row-chosen .sg-item-more {
  color: var(--jp-ui-font-color1);
}

.sg-row-active {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: -2px;
}

.sg-row-sweep {
  padding-left: 0;
}

.sg-row-below {
  padding-left: 30px;
}

.sg-row-loading {
  align-items: center;
  color: var(--jp-ui-font-color2);
  cursor: default;
}

.sg-caret {
  display: flex;
  flex: none;
  align-items: center;
  justify-content: center;
  width: 24px;
}

.sg-item {
  flex: 1;
  min-width: 0;
}

.sg-item-line {
  display: flex;
  align-items: center;
  justify-content: space-between;
  gap: 8px;
  height: 18px;
}

.sg-item-name,
.sg-item-target,
.sg-sweep-counts {
  overflow: hidden;
  min-width: 0;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.sg-item-name {
  flex: 1;
}

.sg-item .sg-state {
  flex: 0 1 auto;
  min-width: 0;
  overflow: hidden;
}

.sg-item-more {
  color: var(--jp-ui-font-color2);
  font-size: var(--jp-ui-font-size0);
  white-space: nowrap;
}

.sg-sweep-counts {
  display: flex;
  flex: 1;
  gap: 8px;
}

.sg-sweep-size {
  flex: none;
  color: var(--jp-ui-font-color2);
  font-size: var(--jp-ui-font-size0);
}

.sg-stale {
  color: var(--jp-warn-color0, var(--jp-warn-color1));
}

[data-jp-theme-light='false'] .sg-stale {
  color: var(--jp-warn-color2, var(--jp-warn-color1));
}

.sg-unseen {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}

.sg-chosen {
  flex-wrap: wrap;
  border-top: 1px solid var(--jp-border-color1);
}

.sg-chosen .jp-Button {
  padding: 0 6px;
}

.sg-chosen > span[role='status'] {
  flex: 1 0 calc(100% - 40px);
  white-space: nowrap;
}

/* Jobs that have ended and that nobody has looked at, on the sidebar's icon. */
.lm-TabBar-tab[data-sg-ended] {
  position: relative;
}

.lm-TabBar-tab[data-sg-ended]::after {
  content: attr(data-sg-ended);
  position: absolute;
  top: 3px;
  right: 2px;
  min-width: 12px;
  height: 14px;
  padding: 0 2px;
  border-radius: 7px;
  background: var(--jp-brand-color1);
  color: var(--jp-ui-inverse-font-color0, white);
  font-size: 10px;
  line-height: 14px;
  text-align: center;
}

.sg-sweep-open {
  cursor: pointer;
}

.sg-sweep-open:hover {
  text-decoration: underline;
}

.sg-sweep-table .sg-mod-chosen {
  background: var(--jp-layout-color2);
}
`,""]),r.d(e,{},{A:i})},"./node_modules/css-loader/dist/cjs.js!./style/targets.css"(o,e,r){var a=r("./node_modules/css-loader/dist/runtime/noSourceMaps.js"),s=r.n(a),t=r("./node_modules/css-loader/dist/runtime/api.js"),i=(r.n(t))()(s());i.push([o.id,`/* Adding a target. */
.sg-target-panel {
  padding: 16px 20px;
}

.sg-target {
  max-width: 760px;
  margin: 0 auto;
}

.sg-target h1 {
  font-size: var(--jp-ui-font-size3);
}

.sg-target input.jp-mod-styled {
  height: 28px;
  padding: 0 8px;
  border: 1px solid var(--jp-border-color1);
  background: var(--jp-input-background);
  color: var(--jp-ui-font-color0);
}

.sg-target-agent {
  display: block;
  margin: 10px 0;
}

.sg-fingerprint {
  padding: 8px;
  border: 1px solid var(--jp-border-color1);
  background: var(--jp-layout-color2);
  font-family: var(--jp-code-font-family);
  overflow-wrap: anywhere;
  white-space: pre-wrap;
}

.sg-target-buttons {
  display: flex;
  gap: 8px;
  margin: 12px 0;
}

.sg-probes {
  width: 100%;
  border-collapse: collapse;
}

.sg-probes th,
.sg-probes td {
  padding: 4px 8px;
  border-bottom: 1px solid var(--jp-border-color2);
  text-align: left;
  vertical-align: top;
}

.sg-probe-ok td:first-child {
  color: var(--jp-success-color0, var(--jp-success-color1));
}

.sg-probe-warning td:first-child {
  color: var(--jp-warn-color0, var(--jp-warn-color1));
}

.sg-probe-failed td:first-child {
  color: var(--jp-error-color0, var(--jp-error-color1));
}
`,""]),r.d(e,{},{A:i})},"./node_modules/css-loader/dist/runtime/api.js"(o){o.exports=function(o){var e=[];return e.toString=function(){return this.map(function(e){var r="",a=void 0!==e[5];return e[4]&&(r+="@supports (".concat(e[4],") {")),e[2]&&(r+="@media ".concat(e[2]," {")),a&&(r+="@layer".concat(e[5].length>0?" ".concat(e[5]):""," {")),r+=o(e),a&&(r+="}"),e[2]&&(r+="}"),e[4]&&(r+="}"),r}).join("")},e.i=function(o,r,a,s,t){"string"==typeof o&&(o=[[null,o,void 0]]);var i={};if(a)for(var l=0;l<this.length;l++){var n=this[l][0];null!=n&&(i[n]=!0)}for(var p=0;p<o.length;p++){var g=[].concat(o[p]);a&&i[g[0]]||(void 0!==t&&(void 0===g[5]||(g[1]="@layer".concat(g[5].length>0?" ".concat(g[5]):""," {").concat(g[1],"}")),g[5]=t),r&&(g[2]&&(g[1]="@media ".concat(g[2]," {").concat(g[1],"}")),g[2]=r),s&&(g[4]?(g[1]="@supports (".concat(g[4],") {").concat(g[1],"}"),g[4]=s):g[4]="".concat(s)),e.push(g))}},e}},"./node_modules/css-loader/dist/runtime/noSourceMaps.js"(o){o.exports=function(o){return o[1]}},"./node_modules/style-loader/dist/runtime/injectStylesIntoStyleTag.js"(o){var e=[];function r(o){for(var r=-1,a=0;a<e.length;a++)if(e[a].identifier===o){r=a;break}return r}function a(o,a){for(var s={},t=[],i=0;i<o.length;i++){var l=o[i],n=a.base?l[0]+a.base:l[0],p=s[n]||0,g="".concat(n," ").concat(p);s[n]=p+1;var d=r(g),c={css:l[1],media:l[2],sourceMap:l[3],supports:l[4],layer:l[5]};if(-1!==d)e[d].references++,e[d].updater(c);else{var u=function(o,e){var r=e.domAPI(e);return r.update(o),function(e){e?(e.css!==o.css||e.media!==o.media||e.sourceMap!==o.sourceMap||e.supports!==o.supports||e.layer!==o.layer)&&r.update(o=e):r.remove()}}(c,a);a.byIndex=i,e.splice(i,0,{identifier:g,updater:u,references:1})}t.push(g)}return t}o.exports=function(o,s){var t=a(o=o||[],s=s||{});return function(o){o=o||[];for(var i=0;i<t.length;i++){var l=r(t[i]);e[l].references--}for(var n=a(o,s),p=0;p<t.length;p++){var g=r(t[p]);0===e[g].references&&(e[g].updater(),e.splice(g,1))}t=n}}},"./node_modules/style-loader/dist/runtime/insertBySelector.js"(o){var e={};o.exports=function(o,r){var a=function(o){if(void 0===e[o]){var r=document.querySelector(o);if(window.HTMLIFrameElement&&r instanceof window.HTMLIFrameElement)try{r=r.contentDocument.head}catch(o){r=null}e[o]=r}return e[o]}(o);if(!a)throw Error("Couldn't find a style target. This probably means that the value for the 'insert' parameter is invalid.");a.appendChild(r)}},"./node_modules/style-loader/dist/runtime/insertStyleElement.js"(o){o.exports=function(o){var e=document.createElement("style");return o.setAttributes(e,o.attributes),o.insert(e,o.options),e}},"./node_modules/style-loader/dist/runtime/setAttributesWithoutAttributes.js"(o,e,r){o.exports=function(o){var e=r.nc;e&&o.setAttribute("nonce",e)}},"./node_modules/style-loader/dist/runtime/styleDomAPI.js"(o){o.exports=function(o){if("u"<typeof document)return{update:function(){},remove:function(){}};var e=o.insertStyleElement(o);return{update:function(r){var a,s,t;a="",r.supports&&(a+="@supports (".concat(r.supports,") {")),r.media&&(a+="@media ".concat(r.media," {")),(s=void 0!==r.layer)&&(a+="@layer".concat(r.layer.length>0?" ".concat(r.layer):""," {")),a+=r.css,s&&(a+="}"),r.media&&(a+="}"),r.supports&&(a+="}"),(t=r.sourceMap)&&"u">typeof btoa&&(a+="\n/*# sourceMappingURL=data:application/json;base64,".concat(btoa(unescape(encodeURIComponent(JSON.stringify(t))))," */")),o.styleTagTransform(a,e,o.options)},remove:function(){var o;null===(o=e).parentNode||o.parentNode.removeChild(o)}}}},"./node_modules/style-loader/dist/runtime/styleTagTransform.js"(o){o.exports=function(o,e){if(e.styleSheet)e.styleSheet.cssText=o;else{for(;e.firstChild;)e.removeChild(e.firstChild);e.appendChild(document.createTextNode(o))}}},"./style/index.js"(o,e,r){var a=r("./node_modules/style-loader/dist/runtime/injectStylesIntoStyleTag.js"),s=r.n(a),t=r("./node_modules/style-loader/dist/runtime/styleDomAPI.js"),i=r.n(t),l=r("./node_modules/style-loader/dist/runtime/insertBySelector.js"),n=r.n(l),p=r("./node_modules/style-loader/dist/runtime/setAttributesWithoutAttributes.js"),g=r.n(p),d=r("./node_modules/style-loader/dist/runtime/insertStyleElement.js"),c=r.n(d),u=r("./node_modules/style-loader/dist/runtime/styleTagTransform.js"),f=r.n(u),m=r("./node_modules/css-loader/dist/cjs.js!./style/index.css"),x={};x.styleTagTransform=f(),x.setAttributes=g(),x.insert=n().bind(null,"head"),x.domAPI=i(),x.insertStyleElement=c(),s()(m.A,x),m.A&&m.A.locals&&m.A.locals}}]);