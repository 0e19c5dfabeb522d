//! The command line.

mod container;
mod image;
mod registry;
mod verbs;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(super) use container::{Create, Limits, Options, Run};
pub(super) use image::{Build, Flatten, Load, Made, Pack, Rebase, Save};
pub(super) use registry::{CompressionFormat, Connection, Fetching, Login, Logout, Places, Pull, PullPolicy, Push};
pub(super) use verbs::{
    Attach, Commit, Copy, Exec, Format, Inspect, Kill, Logs, Prune, Ps, Remove, Start, Stats, Stop, Tail, Update,
    Volume,
};

/// Packs programs into images, and runs them isolated and limited
#[derive(Debug, Parser)]
#[command(name = "windlass", version, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// Where images, containers and volumes are kept [default: /var/lib/windlass, or ~/.local/share/windlass]
    #[arg(long, global = true, env = "WINDLASS_ROOT", value_name = "DIR")]
    pub root: Option<PathBuf>,
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "Exit codes of `run`, `exec`, `attach` and `start -a`: the program's own; 125 windlass itself \
failed; 126 the program cannot be run; 127 it was not found; 128+N it was ended by signal N.";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Runs a command in a new container
    Run(Run),
    /// Makes a container without starting it
    Create(Create),
    /// Starts containers
    Start(Start),
    /// Asks containers to end, and kills those that do not in time
    Stop(Stop),
    /// Stops containers, and starts them
    Restart(Stop),
    /// Sends a signal to containers
    Kill(Kill),
    /// Removes containers
    Rm(Remove),
    /// Waits until containers have ended, and prints their exit codes
    Wait {
        #[arg(required = true)]
        containers: Vec<String>,
    },
    /// Freezes all processes of containers
    Pause {
        #[arg(required = true)]
        containers: Vec<String>,
    },
    /// Lets paused containers go on
    Unpause {
        #[arg(required = true)]
        containers: Vec<String>,
    },
    /// Changes the limits or the restart policy of containers
    Update(Update),
    /// Lists containers
    #[command(visible_alias = "list")]
    Ps(Ps),
    /// Prints what a container has written
    Logs(Logs),
    /// Connects this terminal to a running container; ctrl-p ctrl-q leaves it running
    Attach(Attach),
    /// Runs a command in a running container
    Exec(Exec),
    /// Copies files between a container and this machine; `-` is a tar stream
    Cp(Copy),
    /// Shows what containers use, twice a second
    Stats(Stats),
    /// Lists the processes of a container
    Top { container: String },
    /// Prints all that is known of containers, images and volumes, as JSON
    Inspect(Inspect),
    /// Lists what a container has changed in its root file system
    Diff {
        container: String,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Makes an image of a container
    Commit(Commit),
    /// Gives a container another name
    Rename { container: String, name: String },
    /// Lists the published ports of a container
    Port {
        container: String,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Lists and removes volumes
    #[command(subcommand)]
    Volume(Volume),
    /// Removes what nothing uses: containers that have ended, what killed ones left, and on demand volumes
    Prune(Prune),
    /// Says what this kernel and user can do, and why not
    Info {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Makes an image as a Dockerfile says, each command in namespaces of its own; the last line printed is its id
    Build(Build),
    /// Makes an image of a program and the shared libraries that it loads
    Pack(Pack),
    /// Lists the images
    Images {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Gives an image further names
    Tag {
        /// The image, by name, id or digest
        image: String,
        /// The new names, taken from any other image
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Shows how an image was made, the last step first
    History {
        image: String,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Makes an image with the same files in one layer, and prints its id
    Flatten(Flatten),
    /// Makes an image with the layers of another base below its own, and prints its id
    Rebase(Rebase),
    /// Fetches an image from a registry, and verifies it
    Pull(Pull),
    /// Sends an image to a registry; what is there is not sent again
    Push(Push),
    /// Keeps a name and a password for a registry that takes them
    Login(Login),
    /// Forgets a registry's name and password
    Logout(Logout),
    /// Writes images as one archive, for `load`, `docker load`, `podman load` and readers of `oci-archive`
    Save(Save),
    /// Reads the images of an archive that `save`, `docker save` or `podman save` wrote
    Load(Load),
    /// Removes names of images; what no other image uses goes with the last one
    Rmi {
        /// The images
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Removes what no named image needs: blobs, unpacked layers, and files that killed writers left
    Gc {
        /// Also what builds have remembered
        #[arg(short, long)]
        all: bool,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Stays with a container; for windlass itself
    #[command(hide = true)]
    Monitor { container: String },
}
