# Two roles for GitHub Actions, so that CI holds no long-lived key.
# plan: any pull request, reads only. apply: what was merged, changes only what this module makes.
locals {
  github_count  = var.github_repository == null ? 0 : 1
  github_issuer = "token.actions.githubusercontent.com"
  github_oidc   = "${local.iam_prefix}:oidc-provider/${local.github_issuer}"

  # Repositories that were made or renamed since 2026-07-15 name their ids as well, so that nobody who takes over a name
  # that became free is taken for them. Older repositories send the names alone.
  github_senders = concat(
    ["repo:${coalesce(var.github_repository, "none")}"],
    var.github_owner_id == null || var.github_repository_id == null ? [] : ["repo:${replace(coalesce(var.github_repository, "none"), "/", "@${coalesce(var.github_owner_id, "0")}/")}@${coalesce(var.github_repository_id, "0")}"],
  )

  # A job that names a GitHub environment gets that as its subject, in place of the branch.
  github_subjects = {
    plan  = concat(formatlist("%s:pull_request", local.github_senders), formatlist("%s:ref:refs/heads/main", local.github_senders))
    apply = formatlist(var.github_environment == null ? "%s:ref:refs/heads/main" : "%s:environment:${coalesce(var.github_environment, "none")}", local.github_senders)
  }

  github_trust = {
    for role, subjects in local.github_subjects : role => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "GitHubActions"
        Effect    = "Allow"
        Principal = { Federated = local.github_oidc }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "${local.github_issuer}:aud" = "sts.amazonaws.com"
            "${local.github_issuer}:sub" = subjects
          }
        }
      }]
    })
  }
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_github_oidc_provider ? local.github_count : 0

  url            = "https://${local.github_issuer}"
  client_id_list = ["sts.amazonaws.com"]

  depends_on = [aws_s3_bucket.backup]
}

resource "aws_iam_role" "plan" {
  count = local.github_count

  name                 = local.names.plan
  path                 = local.iam_path
  description          = "GitHub Actions in ${coalesce(var.github_repository, "none")}: terraform plan, reads only."
  max_session_duration = 3600
  assume_role_policy   = local.github_trust.plan

  depends_on = [aws_s3_bucket.backup, aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "plan" {
  count = local.github_count

  name   = "read"
  role   = aws_iam_role.plan[0].name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.read_statements })
}

resource "aws_iam_role" "apply" {
  count = local.github_count

  name                 = local.names.apply
  path                 = local.iam_path
  description          = "GitHub Actions, what was merged in ${coalesce(var.github_repository, "none")}: terraform apply of the backup module."
  max_session_duration = 3600
  assume_role_policy   = local.github_trust.apply

  depends_on = [aws_s3_bucket.backup, aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "apply" {
  count = local.github_count

  name = "apply"
  role = aws_iam_role.apply[0].name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.read_statements, local.write_statements, local.lock_table_statements, local.apply_denials)
  })
}
