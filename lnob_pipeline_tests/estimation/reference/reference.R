# Estimates and contrasts of survey.csv with the R package survey, written to reference.json.
# Run in this folder: Rscript reference.R. Fields: README.md.
# Here: every call of survey. Not here: the data (make_survey.py) and the comparison (test_estimation_oracle.py).
suppressPackageStartupMessages(library(survey))

data <- read.csv("survey.csv", na.strings = "", stringsAsFactors = FALSE)

# JSON without another package: a list with names is an object, one without is an array, I(text) an array of texts
json <- function(x) {
  if (is.null(x)) return("null")
  if (inherits(x, "AsIs")) return(paste0("[", paste0(vapply(x, json, ""), collapse = ", "), "]"))
  if (is.list(x) && !length(x)) return("{}")
  if (is.list(x) && is.null(names(x)))
    return(paste0("[\n", paste(vapply(x, json, ""), collapse = ",\n"), "\n]"))
  fields <- function(x) paste0(vapply(names(x), json, ""), ": ", vapply(x, json, ""), collapse = ", ")
  if (is.list(x)) return(paste0("{", fields(x), "}"))
  if (is.character(x)) return(paste0("\"", x, "\""))
  if (is.logical(x)) return(if (x) "true" else "false")
  if (is.finite(x)) sprintf("%.16g", x) else "null"
}

designs <- list(
  one_stage = list(ids = "cluster", strata = "stratum", weights = "weight"),
  one_stage_fpc = list(ids = "cluster", strata = "stratum", weights = "weight", fpc = "clusters"),
  two_stage_fpc = list(
    ids = c("cluster", "household"), strata = "stratum", weights = "weight", fpc = c("clusters", "households")
  ),
  elements = list(ids = character(), strata = "stratum", weights = "weight"),
  zero_weights = list(ids = "cluster", strata = "stratum", weights = "weight_with_zeros"),
  lonely = list(ids = "cluster", strata = "lonely_stratum", weights = "weight"),
  lonely_fpc = list(ids = "cluster", strata = "lonely_stratum", weights = "weight", fpc = "lonely_clusters"),
  lonely_two_stage_fpc = list(
    ids = c("cluster", "household"), strata = "lonely_stratum", weights = "weight",
    fpc = c("lonely_clusters", "households")
  )
)
# Design, option survey.lonely.psu, option survey.adjust.domain.lonely. No unit is lonely at stage 2 ("fail" stops where
# one is): releases 4.1 and 4.3 differ there.
settings <- list(
  list("one_stage", "fail", FALSE), list("one_stage", "adjust", TRUE), list("one_stage", "average", TRUE),
  list("one_stage_fpc", "fail", FALSE), list("one_stage_fpc", "adjust", TRUE),
  list("two_stage_fpc", "fail", FALSE), list("elements", "fail", FALSE), list("zero_weights", "fail", FALSE),
  list("lonely", "certainty", FALSE), list("lonely", "adjust", FALSE), list("lonely", "average", FALSE),
  list("lonely", "adjust", TRUE), list("lonely", "average", TRUE), list("lonely_fpc", "average", FALSE),
  list("lonely_two_stage_fpc", "adjust", FALSE), list("lonely_two_stage_fpc", "average", FALSE)
)
estimators <- list(
  list(estimator = "mean", y = "income"), list(estimator = "prop", y = "answer_with_gaps"),
  list(estimator = "ratio", y = "food", x = "income"), list(estimator = "total", y = "income")
)
breakdowns <- list(character(), "age", "rare", c("region", "sex"))
# Strata of the design as domains: each lonely one is a domain with a single cluster and no other
of_lonely <- c(breakdowns, "lonely_stratum")

# Before release 4.3, "adjust" took the scores of a total as they are; since then it centres them.
comparable <- function(setting, what) what$estimator != "total" || setting[[2]] != "adjust"

columns <- function(names) if (length(names)) reformulate(names) else ~1
make_design <- function(d) svydesign(
  columns(d$ids), strata = columns(d$strata), weights = columns(d$weights),
  fpc = if (is.null(d$fpc)) NULL else columns(d$fpc), data = data, nest = TRUE
)
described <- function(id, setting, what) {
  d <- designs[[setting[[1]]]]
  c(
    list(
      id = paste(id, collapse = "-"),
      design = list(
        ids = I(d$ids), strata = I(d$strata), weights = d$weights, fpc = I(as.character(d$fpc)), nest = TRUE
      ),
      lonely_psu = setting[[2]], adjust_domain_lonely = setting[[3]]
    ),
    what
  )
}

# One estimate from the rows of a domain where its columns are known
known <- function(what) complete.cases(data[c(what$y, what$x)])
statistic <- function(what, design, ...) switch(what$estimator,
  mean = , prop = svymean(reformulate(what$y), design, ...),
  total = svytotal(reformulate(what$y), design, ...),
  ratio = svyratio(reformulate(what$y), reformulate(what$x), design, ...)
)
in_domain <- function(domain) {
  inside <- rep(TRUE, nrow(data))
  for (name in names(domain)) inside <- inside & data[[name]] %in% domain[[name]]
  inside
}
single <- function(x) as.numeric(unlist(x))[1]

estimate_rows <- function(design, what, by) {
  domains <- if (length(by)) unique(data[complete.cases(data[by]), by, drop = FALSE]) else data.frame(all = TRUE)
  if (length(by)) domains <- domains[do.call(order, unname(as.list(domains))), , drop = FALSE]
  lapply(seq_len(nrow(domains)), function(i) {
    domain <- if (length(by)) as.list(domains[i, , drop = FALSE]) else list()
    part <- design[which(in_domain(domain) & known(what)), ]
    found <- statistic(what, part, deff = TRUE)
    used <- weights(part, "sampling") != 0
    list(
      by = domain, n = sum(used), n_rows = length(used),
      n_psu = length(unique(part$cluster[used, 1])), n_strata = length(unique(part$strata[used, 1])),
      df = degf(part), sum_w = sum(weights(part, "sampling")), est = single(coef(found)), se = single(SE(found)),
      deff = single(deff(found))
    )
  })
}

# A contrast: the scores of both domains side by side, in the design restricted to the rows of either
contrast_row <- function(design, what, stratum, reference) {
  sides <- list(in_domain(stratum) & known(what), in_domain(reference) & known(what))
  either <- which(sides[[1]] | sides[[2]])
  part <- design[either, ]
  scores <- matrix(0, length(either), 2)
  coefs <- numeric(2); used <- numeric(2)
  for (k in 1:2) {
    side <- design[which(sides[[k]]), ]
    found <- statistic(what, side, influence = TRUE)
    scores[sides[[k]][either], k] <- attr(found, "influence")
    coefs[k] <- single(coef(found)); used[k] <- sum(weights(side, "sampling") != 0)
  }
  V <- svyrecvar(scores, part$cluster, part$strata, part$fpc)
  pair <- structure(c(a = coefs[1], b = coefs[2]), var = V, class = "svystat", statistic = "pair")
  by_svyby <- with_svyby(part, what, stratum, reference)
  stopifnot(is.null(by_svyby) || isTRUE(all.equal(unname(V), unname(by_svyby), tolerance = 1e-12)))
  one <- function(expression) {
    found <- svycontrast(pair, list(contrast = expression))
    list(est = single(coef(found)), se = single(SE(found)))
  }
  list(
    stratum = stratum, reference = reference, n = used[1], n_reference = used[2], df = degf(part),
    est_stratum = coefs[1], est_reference = coefs[2], se_stratum = sqrt(V[1, 1]), se_reference = sqrt(V[2, 2]),
    covariance = V[1, 2], difference = one(quote(a - b)), ratio = one(quote(a / b)),
    log_ratio = one(quote(log(a) - log(b)))
  )
}
# The covariance matrix from svyby, for two strata of one column
with_svyby <- function(part, what, stratum, reference) {
  if (length(stratum) != 1 || length(reference) != 1) return(NULL)
  of <- reformulate(what$y); by <- reformulate(names(stratum))
  found <- switch(what$estimator,
    mean = , prop = svyby(of, by, part, svymean, covmat = TRUE),
    total = svyby(of, by, part, svytotal, covmat = TRUE),
    ratio = svyby(of, by, part, svyratio, denominator = reformulate(what$x), covmat = TRUE)
  )
  sides <- match(c(stratum[[1]], reference[[1]]), found[[names(stratum)]])
  attr(found, "var")[sides, sides]
}
pairs <- list(
  list(list(sex = "F"), list(sex = "M")), list(list(region = "north"), list(region = "south")),
  list(list(age = "60+"), list(age = "0-17")), list(list(rare = "yes"), list(rare = "no")),
  list(list(sex = "F", region = "east"), list(sex = "M", region = "east")),
  list(list(sex = "F"), list()), list(list(region = "north"), list()), list(list(rare = "yes"), list())
)

estimates <- list(); contrasts <- list()
for (setting in settings) {
  options(survey.lonely.psu = setting[[2]], survey.adjust.domain.lonely = setting[[3]])
  design <- make_design(designs[[setting[[1]]]])
  for (what in estimators) if (comparable(setting, what)) {
    id <- c(setting[[1]], setting[[2]], if (setting[[3]]) "domain", what$estimator)
    for (by in if (startsWith(setting[[1]], "lonely")) of_lonely else breakdowns) {
      rows <- suppressWarnings(estimate_rows(design, what, by))
      case <- c(described(c(id, by), setting, what), list(by = I(by), rows = rows))
      estimates <- c(estimates, list(case))
    }
    rows <- suppressWarnings(lapply(pairs, function(pair) contrast_row(design, what, pair[[1]], pair[[2]])))
    contrasts <- c(contrasts, list(c(described(id, setting, what), list(rows = rows))))
  }
}
meta <- list(
  r = R.version.string, survey = packageDescription("survey")$Version, data = "survey.csv", rows = nrow(data)
)
writeLines(json(list(meta = meta, estimates = estimates, contrasts = contrasts)), "reference.json")
