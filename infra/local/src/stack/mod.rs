//! The whole system on this machine: engines, table, queues, functions, event sources and gateway.

mod control;
mod endpoints;
mod folder;
mod idle;
mod resources;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::demo::chaos;
use crate::engines::aws::{ACCESS_KEY, JsonService, REGION};
use crate::engines::build;
use crate::engines::carrier::{self, CarrierSandbox};
use crate::engines::dynamodb::DynamoDb;
use crate::engines::functions::{Functions, Killer, Settings};
use crate::engines::invoker::Invoker;
use crate::engines::ministack::Ministack;
use crate::engines::payment::{self, Payment};
use crate::engines::valkey::Valkey;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::progress::Progress;
use crate::setup::Venv;
use crate::sources::deliveries::Deliveries;
use crate::sources::{Services, Sources};
use crate::template::{Application, LocalValues, Template};
use crate::workspace;
use control::Control;
pub use endpoints::{Endpoints, Published};
use idle::Watch;
pub use idle::{Busy, QueueDepth};

/// How often the parts of a running stack are looked after.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The file in a stack's folder that tells where everything is.
const STACK_JSON: &str = "stack.json";

/// What to start.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// Functions with optimisation, as they are deployed.
    pub release: bool,
    /// Instances of a function, where its sources can use them.
    pub concurrency: u16,
    /// How long an order may stay unpaid, in place of the template's default.
    pub order_expiry_seconds: Option<u32>,
    /// Whether there are functions, event sources and a gateway, or the engines alone.
    pub functions: bool,
    /// Whether functions are built and started anew when a file changes.
    pub reload: bool,
    /// The folder under `target/dev` for `stack.json` and the logs.
    pub name: String,
    /// Whether messages come back, and are put aside, within seconds rather than minutes.
    pub hurried: bool,
}

impl StackOptions {
    /// A whole stack with debug functions, four instances each, that stay as they are.
    pub fn named(name: &str) -> Self {
        Self {
            release: false,
            concurrency: 4,
            order_expiry_seconds: None,
            functions: true,
            reload: false,
            name: name.to_owned(),
            hurried: false,
        }
    }
}

/// A running stack. Whatever it started ends with this process, however that ends; [`Stack::stop`] ends it in order.
pub struct Stack {
    /// Where everything is.
    pub endpoints: Endpoints,
    /// What the event sources delivered.
    pub deliveries: Arc<Deliveries>,
    watch: Arc<Watch>,
    engines: Engines,
    application: Option<Running>,
    published: Published,
    /// Held while the stack runs.
    _lock: File,
}

struct Engines {
    /// Stops when it is dropped.
    _dynamodb: DynamoDb,
    ministack: Ministack,
    valkey: Valkey,
    payment: Payment,
    /// Stops when it is dropped.
    _carrier: CarrierSandbox,
}

struct Running {
    gateway: Gateway,
    control: Control,
    sources: Sources,
    functions: Functions,
}

impl Stack {
    /// Starts a stack with an empty table and empty queues.
    ///
    /// # Errors
    /// When a part does not start; the error says what to do.
    pub async fn start(options: StackOptions, progress: &Progress) -> anyhow::Result<Self> {
        let folder = workspace::stack(&options.name);
        let lock = folder::only_one(&folder, &options.name)?;
        Published::withdraw(&folder.join(STACK_JSON));
        let logs = folder.join("logs");
        folder::clear_logs(&logs)?;
        let venv = Venv::engines(progress).await?;
        let template = Template::read(&workspace::root().join("template.yaml"))?;
        let client = reqwest::Client::new();

        let step = progress.step("engines");
        step.note("dynoxide, ministack, valkey, localstripe, carrier");
        let (dynamodb, ministack, valkey, payment, carrier) = tokio::try_join!(
            DynamoDb::start(&folder),
            Ministack::start(&venv, &client, &logs),
            Valkey::start(&venv, &logs),
            Payment::start(&venv, &client, &logs),
            CarrierSandbox::start(),
        )?;
        step.note("table, queues and buckets");
        let mut application = template.application(&local_values(
            &options,
            ministack.url(),
            &valkey.url(),
            payment.url(),
            carrier.url(),
        ))?;
        if options.hurried {
            application.queues.iter_mut().for_each(|queue| chaos::hurried(&mut queue.attributes));
            application
                .functions
                .iter_mut()
                .for_each(|function| function.timeout = function.timeout.min(chaos::TIMEOUT));
        }
        let dynamodb_service = JsonService::dynamodb(client.clone(), dynamodb.url());
        let sqs = JsonService::sqs(client.clone(), ministack.url());
        let stream_arn = resources::create_table(&dynamodb_service, &application.table).await?;
        let queues = resources::create_queues(&sqs, &application.queues).await?;
        resources::create_buckets(&client, ministack.url(), &application.buckets).await?;
        step.done(&format!("dynoxide, ministack, {}, localstripe, carrier", valkey.program()));

        let mut endpoints = Endpoints {
            dynamodb_url: dynamodb.url().to_owned(),
            table: application.table.name.clone(),
            sqs_url: ministack.url().to_owned(),
            redis_url: valkey.url(),
            payment_url: payment.url().to_owned(),
            carrier_url: carrier.url().to_owned(),
            logs: logs.display().to_string(),
            queues,
            ..Endpoints::default()
        };
        let queue_urls = resources::urls_by_arn(&application.queues, &endpoints.queues);
        let services = |invoker| Services {
            invoker,
            sqs: sqs.clone(),
            streams: JsonService::streams(client.clone(), dynamodb.url()),
            queue_urls,
            stream_arn,
        };
        let running = if options.functions {
            let started = start_application(&options, &venv, &client, &application, &mut endpoints, services, progress);
            let started = started.await?;
            payment.send_events_to(format!("{}/webhooks/stripe", endpoints.api_url));
            Some(started)
        } else {
            None
        };
        let (deliveries, watch, application) = match running {
            Some((running, watch)) => (Arc::clone(&running.sources.deliveries), watch, Some(running)),
            None => (Arc::default(), Arc::new(Watch::engines(sqs.clone(), &application, &endpoints.queues)), None),
        };
        let published = Published::new(&endpoints, &folder.join(STACK_JSON))?;
        Ok(Self {
            endpoints,
            deliveries,
            watch,
            engines: Engines { _dynamodb: dynamodb, ministack, valkey, payment, _carrier: carrier },
            application,
            published,
            _lock: lock,
        })
    }

    /// The file that tells other processes where everything is.
    pub fn endpoints_path(&self) -> &Path {
        self.published.path()
    }

    /// `None` when nothing is under way: no request, the stream read to its end, and no message in a queue that a
    /// function reads, delayed ones aside.
    ///
    /// # Errors
    /// When SQS does not answer.
    pub async fn idle(&self) -> anyhow::Result<Option<Busy>> {
        self.watch.idle().await
    }

    /// How many messages each queue has, by its name in the template.
    ///
    /// # Errors
    /// When SQS does not answer.
    pub async fn queue_depths(&self) -> anyhow::Result<BTreeMap<String, QueueDepth>> {
        self.watch.queue_depths().await
    }

    /// Who kills instances of its functions, if it has some.
    pub fn killer(&self) -> Option<Killer> {
        self.application.as_ref().map(|running| running.functions.killer())
    }

    /// Returns when a part of the stack has ended that should not, with what to do about it.
    pub async fn failure(&self) -> Failure {
        loop {
            if let Some(failure) = self.failed() {
                return failure;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Does `work` with the stack, for as long as the stack is whole.
    ///
    /// # Errors
    /// Those of `work`; or that a part of the stack has ended, which is then what work failed of.
    pub async fn run<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::select! {
            result = work => result.map_err(|error| self.failed().map_or(error, anyhow::Error::from)),
            failure = self.failure() => Err(failure.into()),
        }
    }

    fn failed(&self) -> Option<Failure> {
        let Engines { ministack, valkey, payment, .. } = &self.engines;
        let engine = ministack.failure().or_else(|| valkey.failure()).or_else(|| payment.failure());
        engine.or_else(|| self.application.as_ref()?.functions.failure())
    }

    /// Stops everything, what calls before what is called.
    pub async fn stop(self) {
        if let Some(running) = self.application {
            drop(running.gateway);
            drop(running.control);
            running.sources.stop().await;
            running.functions.stop().await;
        }
        let Engines { ministack, valkey, payment, .. } = self.engines;
        tokio::join!(ministack.stop(), valkey.stop(), payment.stop());
    }
}

async fn start_application(
    options: &StackOptions,
    venv: &Venv,
    client: &reqwest::Client,
    application: &Application,
    endpoints: &mut Endpoints,
    services: impl FnOnce(Invoker) -> Services,
    progress: &Progress,
) -> anyhow::Result<(Running, Arc<Watch>)> {
    let settings = Settings { release: options.release, reload: options.reload, concurrency: options.concurrency };
    let step = progress.step("functions built");
    let programs = build::functions(&application.functions, settings, &step).await?;
    step.done(&format!("{} functions", application.functions.len()));

    let step = progress.step("functions ready");
    let logs = PathBuf::from(&endpoints.logs);
    let shared = aws_environment(endpoints);
    let mut functions = Functions::start(venv, &application.functions, &programs, &shared, settings, &logs).await?;
    endpoints.functions_url = functions.url().to_owned();
    let invoker = Invoker::new(client.clone(), functions.url(), &application.functions, options.concurrency);
    functions.ready(&application.functions, &invoker, &step).await?;
    let instances: usize = application.functions.iter().map(|function| function.instances(options.concurrency)).sum();
    step.done(&format!("up to {instances} instances"));

    let step = progress.step("gateway and sources");
    let gateway = Gateway::start(&application.functions, invoker.clone()).await?;
    let services = services(invoker);
    let sources = Sources::start(application, &services)?;
    let watch = Arc::new(Watch::application(&services, application, &sources, &endpoints.queues));
    let control = Control::start(Arc::clone(&watch), Arc::clone(&sources.deliveries)).await?;
    endpoints.api_url = gateway.url().to_owned();
    endpoints.control_url = control.url().to_owned();
    step.done("");
    let running = Running { gateway, control, sources, functions };
    Ok((running, watch))
}

/// What stands in for the parameters and secrets of a deployment.
fn local_values(
    options: &StackOptions,
    sqs_url: &str,
    cache_url: &str,
    payment_url: &str,
    carrier_url: &str,
) -> LocalValues {
    let mut parameters = BTreeMap::from([
        ("CacheUrl".to_owned(), cache_url.to_owned()),
        ("StripeApiUrl".to_owned(), payment_url.to_owned()),
        ("StripeSecretKey".to_owned(), payment::SECRET_KEY.to_owned()),
        ("CarrierApiUrl".to_owned(), carrier_url.to_owned()),
        ("CarrierApiKey".to_owned(), carrier::API_KEY.to_owned()),
        ("StripeWebhookSecret".to_owned(), payment::WEBHOOK_SECRET.to_owned()),
        // Receivers of webhooks are on this machine, too.
        ("WebhookLoopback".to_owned(), "allowed".to_owned()),
    ]);
    if let Some(seconds) = options.order_expiry_seconds {
        parameters.insert("OrderExpirySeconds".to_owned(), seconds.to_string());
    }
    LocalValues {
        parameters,
        sqs_url: sqs_url.to_owned(),
        generated_secret: format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>()),
    }
}

/// What every function needs to find the engines in place of AWS.
fn aws_environment(endpoints: &Endpoints) -> BTreeMap<String, String> {
    [
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY),
        ("AWS_ENDPOINT_URL_DYNAMODB", &endpoints.dynamodb_url),
        ("AWS_ENDPOINT_URL_SQS", &endpoints.sqs_url),
        // The same engine plays both.
        ("AWS_ENDPOINT_URL_SESV2", &endpoints.sqs_url),
        ("AWS_ENDPOINT_URL_S3", &endpoints.sqs_url),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}
