package main

import (
	"github.com/spf13/cobra"

	"tundump/cmd/tundump/output"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "print the JSON schema of the rows of -T json",
		Long: `Prints the JSON schema (draft 2020-12) of a row of -T json, those of stats among
them: what every type of row always has, which fields it may have, what they mean
and what type their values are. It is made of the same table as tundump fields.`,
		Example: `  tundump schema > tundump.schema.json
  tundump schema | jq -r '."$defs"["ip.ttl"].description'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := output.Schema()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(b)
			return err
		},
	}
}
