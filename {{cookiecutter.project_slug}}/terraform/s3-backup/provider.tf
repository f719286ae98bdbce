terraform {
  required_version = ">= 1.9.0, < 2.0.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25"
    }
  }

  # Terraform and OpenTofu before 1.10 do not know use_lockfile: see dynamodb_override.tf.example.
  backend "s3" {
    bucket       = "{{ cookiecutter.state_bucket }}"
    key          = "mailserver/s3-backup/terraform.tfstate"
    region       = "{{ cookiecutter.aws_region }}"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.aws_region

  default_tags {
    tags = local.common_tags
  }
}
